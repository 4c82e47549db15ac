//go:build unix

package main

import "embed"

//go:embed sql/*.sql
var sqlFiles embed.FS

// query is the text of sql/<name>.sql.
func query(name string) string {
	text, err := sqlFiles.ReadFile("sql/" + name + ".sql")
	if err != nil {
		panic(err) // a name in this package's own code
	}
	return string(text)
}
