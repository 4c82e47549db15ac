package main

import (
	"io"
	"strconv"
	"strings"
	"unicode"
	"unicode/utf8"
)

const (
	columns  = 80 // what a terminal line holds
	maxShown = 60 // characters of a key or a file name
)

// say writes one message, broken into lines that start with indent. What cannot be
// written to a terminal is lost; there is nobody left to tell.
func say(w io.Writer, indent, message string) {
	_, _ = io.WriteString(w, fold(indent, message))
}

// fold breaks a message into lines of at most 80 characters, at spaces where it can.
// Lines after the first are indented a little further unless indent does that already.
func fold(indent, message string) string {
	var text strings.Builder
	line := indent
	for word := range strings.FieldsSeq(message) {
		for {
			free := columns - utf8.RuneCountInString(line)
			if line != indent {
				free--
			}
			if utf8.RuneCountInString(word) <= free {
				break
			}
			if line == indent { // a word that is longer than a line
				head := string([]rune(word)[:free])
				text.WriteString(line + head + "\n")
				word = word[len(head):]
			} else {
				text.WriteString(line + "\n")
			}
			if indent == "" {
				indent = "    "
			}
			line = indent
		}
		if line != indent {
			line += " "
		}
		line += word
	}
	return text.String() + line + "\n"
}

// show makes a key or a file name fit for a terminal: as it is, or quoted and cut.
func show(name string) string {
	shown := name
	if strings.ContainsFunc(name, func(r rune) bool { return !unicode.IsPrint(r) || r == utf8.RuneError }) {
		shown = strconv.QuoteToGraphic(name)
	}
	if utf8.RuneCountInString(shown) > maxShown {
		shown = string([]rune(shown)[:maxShown-1]) + "…"
	}
	return shown
}
