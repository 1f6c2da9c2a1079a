package suite

import (
	"embed"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"reflect"
	"slices"
	"strings"

	"bittern/plugins"
)

//go:embed suites/*.yaml
var embedded embed.FS

// Names lists the suites that come with the program.
func Names() []string {
	entries, err := embedded.ReadDir("suites")
	if err != nil {
		panic(err) // the folder is part of the executable
	}
	names := make([]string, len(entries))
	for i, entry := range entries {
		names[i] = strings.TrimSuffix(entry.Name(), ".yaml")
	}
	slices.Sort(names) // the files' order is another: "-" comes before "."
	return names
}

// Load reads the suite that comes with the program under this name, or the
// suite file at this path. What is wrong with it is a *plugins.Problem.
func Load(nameOrPath string) (*Suite, error) { return load(nameOrPath, false) }

// load reads a suite that may be the part of another.
func load(nameOrPath string, part bool) (*Suite, error) {
	if slices.Contains(Names(), nameOrPath) {
		content, err := embedded.ReadFile(path.Join("suites", nameOrPath+".yaml"))
		if err != nil {
			return nil, err
		}
		return parseAs("suite "+nameOrPath, "", content, part, false)
	}
	content, err := read(nameOrPath)
	switch {
	case err == nil:
		return parseAs("suite file "+nameOrPath, filepath.Dir(nameOrPath), content, part, true)
	case !errors.Is(err, fs.ErrNotExist):
		return nil, plugins.Problemf("suite file %s cannot be read (%v); give a readable YAML file or one of %s",
			nameOrPath, reason(err), strings.Join(Names(), ", "))
	case filepath.Base(nameOrPath) != nameOrPath || filepath.Ext(nameOrPath) != "":
		return nil, plugins.Problemf("there is no suite file %s; give the path of a YAML file or one of %s",
			nameOrPath, strings.Join(Names(), ", "))
	}
	return nil, plugins.Problemf("there is no suite %q%s; give the path of a YAML file or one of %s",
		nameOrPath, plugins.DidYouMean(nameOrPath, Names()), strings.Join(Names(), ", "))
}

// read reads a suite file. What is no regular file is not even opened: a pipe
// would block, and a device may have no end.
func read(path string) ([]byte, error) {
	info, err := os.Stat(path)
	switch {
	case err != nil:
		return nil, err
	case info.IsDir():
		return nil, errors.New("it is a folder")
	case !info.Mode().IsRegular():
		return nil, errors.New("it is a pipe or device and not a file")
	}
	file, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	content, err := io.ReadAll(io.LimitReader(file, maxSize+1))
	if closing := file.Close(); err == nil {
		err = closing
	}
	if err == nil && len(content) > maxSize {
		return nil, fmt.Errorf("it is longer than %d bytes, which no suite is", maxSize)
	}
	return content, err
}

func reason(err error) error {
	var pathError *fs.PathError
	if errors.As(err, &pathError) {
		return pathError.Err
	}
	return err
}

// Parse reads a suite from YAML; origin names it in the sentence of a Problem,
// which also names the line.
func Parse(origin string, content []byte) (*Suite, error) {
	return parseAs(origin, "", content, false, true)
}

// parseAs reads a suite that may be the part of another. Its entries know their places
// if the user can mend it.
func parseAs(origin, folder string, content []byte, part, mendable bool) (*Suite, error) {
	if len(content) > maxSize {
		return nil, plugins.Problemf("%s is longer than %d bytes, which no suite is", origin, maxSize)
	}
	s, line, err := fromYAML(content, part)
	if err == nil {
		if mendable {
			s.place(origin, folder, line)
		}
		return s, nil
	}
	f, ok := errors.AsType[*fault](err)
	if !ok {
		return nil, plugins.Problemf("%s is not valid YAML: %s", origin, strings.TrimPrefix(oneLine(err), "yaml: "))
	}
	if f.line > 0 {
		origin += fmt.Sprintf(", line %d", f.line)
	}
	return nil, plugins.Problemf("%s: %s", origin, f.text)
}

// fromYAML returns the suite and a function that finds the line of a path. What is wrong
// is a *fault or an error of the YAML reader.
func fromYAML(content []byte, part bool) (_ *Suite, line func(path string) int, _ error) {
	root, err := document(content)
	if err != nil {
		return nil, nil, err
	}
	s := defaultSuite()
	d := decoder{suite: s, lines: make(map[string]int)}
	if err := d.decode("", field{}, root, reflect.ValueOf(s).Elem()); err != nil {
		return nil, nil, err
	}
	if part && len(s.Parts) > 0 {
		return nil, nil, &fault{line: d.line("parts"), text: "it is made of parts itself; list its parts in its place"}
	}
	if len(s.Parts) > 0 {
		if f := s.join(); f != nil {
			f.line = d.line(f.path)
			return nil, nil, f
		}
	}
	s.label()
	for _, find := range []func() *fault{s.complete, s.check} {
		if f := find(); f != nil {
			f.line = d.line(f.path)
			return nil, nil, f
		}
	}
	return s, d.line, nil
}

func oneLine(err error) string {
	return strings.Join(strings.Fields(err.Error()), " ")
}
