package bundle

import (
	"math"
	"strconv"
)

// number reads a number. Its digits are bounded, written out without exponent as
// Postgres does, because Postgres keeps every one and raises an error where it
// cannot.
func (s *scanner) number() error {
	start := s.pos
	if s.at('-') {
		s.pos++
	}
	first := s.pos
	digits := s.digits()
	if digits == 0 || digits > 1 && s.data[first] == '0' {
		return errSyntax
	}
	end := s.pos
	if s.at('.') {
		s.pos++
		fraction := s.digits()
		if fraction == 0 {
			return errSyntax
		}
		digits += fraction
	}
	if s.at('e') || s.at('E') {
		shift, err := s.exponent()
		if err != nil {
			return err
		}
		digits += shift
	}
	switch {
	case s.pos == end:
		return checkInteger(s.data[first:end])
	case digits > maxDigits:
		return errNumber
	}
	return checkFloat(s.data[start:s.pos])
}

// exponent reads an exponent and returns by how many places it shifts.
func (s *scanner) exponent() (int, error) {
	s.pos++
	if s.at('+') || s.at('-') {
		s.pos++
	}
	start := s.pos
	switch n := s.digits(); {
	case n == 0:
		return 0, errSyntax
	case n > exponentDigits:
		return 0, errNumber
	}
	return strconv.Atoi(string(s.data[start:s.pos]))
}

func (s *scanner) at(c byte) bool { return s.pos < len(s.data) && s.data[s.pos] == c }

func (s *scanner) digits() (n int) {
	for ; s.pos < len(s.data) && s.data[s.pos] >= '0' && s.data[s.pos] <= '9'; n++ {
		s.pos++
	}
	return n
}

const (
	// maxInteger is 2^53: float64, and with it JavaScript and Amplitude, cannot
	// tell larger integers apart.
	maxInteger = "9007199254740992"
	// From 1e21 on encoders write exponents, so it is a float that went large and
	// not an id. Postgres writes it out in digits again; the 17 that a float64
	// has are how it is known.
	minLargeFloat   = 1e21
	floatDigits     = 17
	exponentDigits  = 3    // of any float64
	maxDigits       = 1100 // more than the longest float64 has
	largeFloatBytes = len("1000000000000000000000")
)

func checkInteger(digits []byte) error {
	switch n := len(digits); {
	case n < len(maxInteger), n == len(maxInteger) && string(digits) <= maxInteger:
		return nil
	case n < largeFloatBytes:
		return errInteger
	}
	return checkFloat(digits)
}

func checkFloat(number []byte) error {
	f, err := strconv.ParseFloat(string(number), 64)
	if err != nil || f == 0 && significant(number) > 0 {
		return errNumber
	}
	if f = math.Abs(f); f >= 1<<53 && (f < minLargeFloat || significant(number) > floatDigits) {
		return errInteger
	}
	return nil
}

// significant counts the digits between the first and the last that is no zero.
func significant(number []byte) int {
	n, zeros := 0, 0
	for _, c := range number {
		switch {
		case c == 'e' || c == 'E':
			return n
		case c == '0' && n > 0:
			zeros++
		case c >= '1' && c <= '9':
			n += zeros + 1
			zeros = 0
		}
	}
	return n
}
