export declare const placeholder_cli = 1;
