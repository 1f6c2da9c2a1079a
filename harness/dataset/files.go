package dataset

import (
	"bytes"
	"compress/gzip"
	"context"
	"crypto/sha1"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"hash"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"bittern/plugins"
)

func (s Set) describe() Set { return s }

func (s Set) locate(_ context.Context, dataDir string) (where []string, missing error) {
	for _, source := range s.Sources {
		path, err := s.find(dataDir, source)
		if err != nil {
			path = expected(dataDir, source)
			if missing == nil {
				missing = err
			}
		}
		where = append(where, path)
	}
	return where, missing
}

// find returns the path of a source that exists, plain or compressed.
func (s Set) find(dataDir string, source Source) (string, error) {
	if dataDir == "" {
		return "", plugins.Problemf("data set %s needs its files: name the folder that holds %s with --data", s.Name, source.Path+".gz")
	}
	compressed := expected(dataDir, source)
	for _, path := range []string{compressed, strings.TrimSuffix(compressed, ".gz")} {
		info, err := os.Stat(path)
		switch {
		case err == nil && info.Mode().IsRegular():
			return path, nil
		case err != nil && !errors.Is(err, fs.ErrNotExist):
			return "", plugins.Problemf("data set %s cannot be read (%s); make its files readable, or name another folder with --data", s.Name, err)
		}
	}
	get := ""
	if len(s.Downloads) > 0 {
		get = fmt.Sprintf(" (`bittern data get %s --data DIR` does)", s.Name)
	}
	return "", plugins.Problemf("data set %s is missing: looked for %s and for the same without .gz; put there %s%s, or name another folder with --data",
		s.Name, compressed, s.ByHand, get)
}

func expected(dataDir string, source Source) string {
	return filepath.Join(dataDir, filepath.FromSlash(source.Path)) + ".gz"
}

// read returns the verified content of a source and the path it was read from.
func (s Set) read(dataDir string, source Source) (content []byte, path string, err error) {
	path, err = s.find(dataDir, source)
	if err != nil {
		return nil, "", err
	}
	file, err := os.Open(path)
	if err != nil {
		return nil, path, plugins.Problemf("data set %s cannot be read (%s); make its files readable, or name another folder with --data", s.Name, err)
	}
	defer file.Close()
	content, found, err := source.readContent(file, strings.HasSuffix(path, ".gz"))
	if err != nil {
		return nil, path, plugins.Problemf("data set %s: %s is damaged (%s); fetch it again", s.Name, path, err)
	}
	if algorithm, want := source.pin(); found != want {
		return nil, path, plugins.Problemf("data set %s: the content of %s has %s %s but %s was expected; replace it by %s",
			s.Name, path, algorithm, found, want, s.ByHand)
	}
	return content, path, nil
}

// pin returns the digest that the content must have, and what it is called.
func (f Source) pin() (algorithm, digest string) {
	if f.SHA256 != "" {
		return "SHA-256", f.SHA256
	}
	return "git blob id", f.GitBlob
}

// newHash starts the hash whose sum is the pin.
func (f Source) newHash() hash.Hash {
	if f.SHA256 != "" {
		return sha256.New()
	}
	digest := sha1.New()
	fmt.Fprintf(digest, "blob %d\x00", f.Bytes)
	return digest
}

// readContent returns the content of r and its digest. Of content longer than
// the source's it keeps nothing beyond one byte more in memory, whatever a damaged
// gzip stream unfolds to.
func (f Source) readContent(r io.Reader, compressed bool) (content []byte, digest string, err error) {
	if compressed {
		unzipped, err := gzip.NewReader(r)
		if err != nil {
			return nil, "", err
		}
		r = unzipped
	}
	hash := f.newHash()
	var kept bytes.Buffer
	kept.Grow(int(f.Bytes) + bytes.MinRead)
	if _, err := io.Copy(&kept, io.TeeReader(io.LimitReader(r, f.Bytes+1), hash)); err != nil {
		return nil, "", err
	}
	if _, err := io.Copy(hash, r); err != nil {
		return nil, "", err
	}
	return kept.Bytes(), hex.EncodeToString(hash.Sum(nil)), nil
}

// maxFile bounds the content of a user's own file, in bytes.
const maxFile = 2 << 30

// readFile returns the content of a user's own file, plain or, where its name
// ends in ".gz", a gzip stream.
func readFile(path string) ([]byte, error) {
	file, err := os.Open(path)
	if err != nil {
		return nil, plugins.Problemf("%s cannot be read (%s); name a file that can be read", path, reason(err))
	}
	defer file.Close()
	var r io.Reader = file
	if strings.HasSuffix(path, ".gz") {
		if r, err = gzip.NewReader(file); err != nil {
			return nil, plugins.Problemf("%s is damaged (%s); replace it", path, err)
		}
	}
	content, err := io.ReadAll(io.LimitReader(r, maxFile+1))
	if err != nil {
		return nil, plugins.Problemf("%s cannot be read (%s); name a file that can be read", path, reason(err))
	}
	if len(content) > maxFile {
		return nil, plugins.Problemf("%s holds more than %d bytes, the most that can be loaded; shorten it", path, maxFile)
	}
	return content, nil
}

// reason is an error without the path, which the sentence around it names.
func reason(err error) error {
	if wrapped, ok := errors.AsType[*fs.PathError](err); ok {
		return wrapped.Err
	}
	return err
}
