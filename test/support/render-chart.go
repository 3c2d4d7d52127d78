// Renders the Helm chart for tests, with the template engine that Helm itself is built on (text/template): Debian has
// no Helm. Reads {"values", "release", "chart", "files"} as JSON, writes the rendered files as a JSON object. Only the
// functions that the chart uses are here; another one is an error, as a field that is not there is.
package main

import (
	"bytes"
	"crypto/sha256"
	"encoding/json"
	"fmt"
	"os"
	"strings"
	"text/template"
)

type input struct {
	Values  map[string]interface{}
	Release map[string]interface{}
	Chart   map[string]interface{}
	Files   map[string]string
}

func main() {
	var in input
	must(json.NewDecoder(os.Stdin).Decode(&in))
	root := template.New("chart").Option("missingkey=error")
	root.Funcs(functions(root))
	for name, text := range in.Files {
		template.Must(root.New(name).Parse(text))
	}
	data := map[string]interface{}{"Values": in.Values, "Release": in.Release, "Chart": in.Chart}
	rendered := map[string]string{}
	for name := range in.Files {
		if strings.HasSuffix(name, ".tpl") {
			continue
		}
		rendered[name] = execute(root, name, data)
	}
	must(json.NewEncoder(os.Stdout).Encode(rendered))
}

func functions(root *template.Template) template.FuncMap {
	return template.FuncMap{
		"include": func(name string, data interface{}) string { return execute(root, name, data) },
		"quote":   func(value interface{}) string { return fmt.Sprintf("%q", fmt.Sprint(value)) },
		"default": func(other, value interface{}) interface{} {
			if value == nil || value == "" {
				return other
			}
			return value
		},
		"toJson": func(value interface{}) string {
			text, err := json.Marshal(value)
			must(err)
			return string(text)
		},
		"sha256sum": func(text string) string { return fmt.Sprintf("%x", sha256.Sum256([]byte(text))) },
		"nindent": func(count int, text string) string {
			pad := "\n" + strings.Repeat(" ", count)
			return pad + strings.ReplaceAll(text, "\n", pad)
		},
	}
}

func execute(root *template.Template, name string, data interface{}) string {
	var out bytes.Buffer
	must(root.ExecuteTemplate(&out, name, data))
	return out.String()
}

func must(err error) {
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}
