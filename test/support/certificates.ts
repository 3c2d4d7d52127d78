/** A certificate authority for tests, by openssl: servers and clients on loopback, for a day or long expired. */
import { execFileSync } from "node:child_process";
import { writeFileSync } from "node:fs";
import { join } from "node:path";

export interface Issued {
  readonly certificateFile: string;
  readonly keyFile: string;
}

export class TestAuthority {
  readonly #directory: string;
  readonly #ca: Issued;

  constructor(directory: string, name = "ca") {
    this.#directory = directory;
    this.#ca = this.#files(name);
    const subject = ["-subj", `/CN=${name}`, "-days", "1"];
    const key = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes"];
    const { certificateFile, keyFile } = this.#ca;
    this.#openssl("req", "-x509", ...key, ...subject, "-keyout", keyFile, "-out", certificateFile);
  }

  get caFile(): string {
    return this.#ca.certificateFile;
  }

  /** For 127.0.0.1, as server and as client. */
  issue(name: string, validity: "for a day" | "expired" = "for a day"): Issued {
    const issued = this.#files(name);
    const request = join(this.#directory, `${name}.csr`);
    const extensions = join(this.#directory, `${name}.ext`);
    writeFileSync(extensions, "subjectAltName=IP:127.0.0.1\nextendedKeyUsage=serverAuth,clientAuth\n");
    const key = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes"];
    this.#openssl("req", ...key, "-subj", `/CN=${name}`, "-keyout", issued.keyFile, "-out", request);
    const { certificateFile, keyFile } = this.#ca;
    const signer = ["-CA", certificateFile, "-CAkey", keyFile, "-CAcreateserial"];
    // A negative number of days ends before it begins: expired yesterday.
    const days = validity === "expired" ? "-1" : "1";
    const out = ["-extfile", extensions, "-days", days, "-out", issued.certificateFile];
    this.#openssl("x509", "-req", "-in", request, ...signer, ...out);
    return issued;
  }

  #files(name: string): Issued {
    const path = join(this.#directory, name);
    return { certificateFile: `${path}.pem`, keyFile: `${path}.key` };
  }

  #openssl(...words: readonly string[]): void {
    execFileSync("openssl", words, { stdio: "pipe" });
  }
}
