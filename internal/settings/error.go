package settings

import "strings"

// Problem is one thing wrong with the environment. Each of its two printed lines fits 80 columns.
type Problem struct {
	// Variable is the name of the environment variable to look at.
	Variable string
	// What is wrong with it. It never quotes a secret, nor any long value: a key pasted into the wrong variable is long.
	What string
	// Fix is what to do next.
	Fix string
}

// String returns the problem, and its fix on an indented second line.
func (p Problem) String() string { return p.Variable + ": " + p.What + "\n    " + p.Fix }

// Error is a wrong configuration, with everything that is wrong about it. Programs exit with code 3 on it.
type Error struct {
	// Problems is never empty. They come in the order of [Table], contradictions and unknown names last.
	Problems []Problem
}

// Error returns two lines for each problem.
func (e *Error) Error() string {
	lines := make([]string, len(e.Problems))
	for i, p := range e.Problems {
		lines[i] = p.String()
	}
	return strings.Join(lines, "\n")
}
