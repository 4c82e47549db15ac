package check

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"

	"waybill/internal/plan/compiled"
)

// maxBytes bounds the file: a plan of a thousand events has about 2 MB.
const maxBytes = 32 << 20

// LoadError says what is wrong with a plan file and what to do about it.
type LoadError struct{ What, Fix string }

func (e *LoadError) Error() string { return e.What + "; " + e.Fix }

// Load reads the compiled plan at a path. The error is a [*LoadError].
func Load(file string) (*Plan, error) {
	text, err := read(file)
	if err != nil {
		return nil, &LoadError{
			fmt.Sprintf("%s cannot be read: %v", file, err),
			"set the path of the plan.json that plan gen writes",
		}
	}
	p, err := compiled.Read(text)
	if err != nil {
		return nil, &LoadError{fmt.Sprintf("%s %v", file, err), "set the path of the plan.json that plan gen of this release writes"}
	}
	ready, err := New(p, file)
	if err != nil {
		return nil, &LoadError{fmt.Sprintf("%s cannot be used: %v", file, err), "run plan lint and plan gen where the plan is kept"}
	}
	return ready, nil
}

// read says of an error why, and not where: its caller does.
func read(name string) ([]byte, error) {
	file, err := os.Open(name) //nolint:gosec // whoever sets the environment says which file
	if err != nil {
		return nil, reason(err)
	}
	defer func() { _ = file.Close() }() // it was only read
	text, err := io.ReadAll(io.LimitReader(file, maxBytes+1))
	switch {
	case err != nil:
		return nil, reason(err)
	case len(text) > maxBytes:
		return nil, errors.New("it is larger than 32 MB")
	}
	return text, nil
}

func reason(err error) error {
	var path *fs.PathError
	if errors.As(err, &path) {
		return path.Err
	}
	return err
}
