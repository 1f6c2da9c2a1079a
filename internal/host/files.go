package host

import (
	"errors"
	"fmt"
	"io"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"unicode/utf8"

	"bittern/plugins"
)

// mostFileBytes is how long the content of an option may be, since every result stores it.
const mostFileBytes = 64 << 10

// ReadFiles replaces, for each option that is a file, the path in given by the content of the
// file. Paths are relative to folder, or to the working directory if folder is empty. A file
// that cannot be read is a *plugins.Problem. paths has the paths of those that were read, by the
// option's name.
func ReadFiles(options []plugins.Option, given plugins.Values, folder string) (values plugins.Values, paths map[string]string, err error) {
	values, paths = maps.Clone(given), map[string]string{}
	for _, o := range options {
		path, ok := given[o.Name]
		if o.Type != plugins.File || !ok || slices.Contains(o.Choices, path) {
			continue
		}
		if !filepath.IsAbs(path) {
			path = filepath.Join(folder, path)
		}
		content, err := readFile(path)
		if errors.Is(err, os.ErrNotExist) {
			return nil, nil, plugins.Problemf("option %s: there is no file %s%s; give a path%s", o.Name, path, plugins.DidYouMean(given[o.Name], o.Choices), orChoices(o))
		}
		if err != nil {
			return nil, nil, plugins.Problemf("option %s: file %s cannot be read (%v); give the path of a text file%s", o.Name, path, reason(err), orChoices(o))
		}
		values[o.Name], paths[o.Name] = content, path
	}
	return values, paths, nil
}

// InFile adds to a *plugins.Problem with values from [ReadFiles] which file the mistake may be
// in. It returns other errors as they are.
func InFile(paths map[string]string, err error) error {
	problem, ok := errors.AsType[*plugins.Problem](err)
	if !ok || len(paths) == 0 {
		return err
	}
	return plugins.Problemf("%s: %s", strings.Join(slices.Sorted(maps.Values(paths)), ", "), problem.Sentence)
}

func orChoices(o plugins.Option) string {
	text := ""
	for _, choice := range o.Choices {
		text += " or " + choice
	}
	return text
}

// readFile reads a text file. It does not open anything but a regular file, since opening a pipe
// would block.
func readFile(path string) (string, error) {
	info, err := os.Stat(path)
	if err != nil {
		return "", err
	}
	if !info.Mode().IsRegular() {
		return "", errors.New("it is no regular file")
	}
	file, err := os.Open(path)
	if err != nil {
		return "", err
	}
	content, err := io.ReadAll(io.LimitReader(file, mostFileBytes+1))
	err = errors.Join(err, file.Close())
	switch {
	case err != nil:
		return "", err
	case len(content) > mostFileBytes:
		return "", fmt.Errorf("it is longer than %d bytes", mostFileBytes)
	case len(content) == 0:
		return "", errors.New("it is empty")
	case !utf8.Valid(content):
		return "", errors.New("it is not text in UTF-8")
	}
	return string(content), nil
}
