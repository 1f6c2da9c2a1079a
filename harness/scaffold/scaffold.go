// Package scaffold writes the folder of a new plugin: a copy of one of the examples of
// package plugins/examples under another name, which works as it is.
package scaffold

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"

	"golang.org/x/mod/modfile"
	"golang.org/x/mod/module"

	"bittern/plugins"
	"bittern/plugins/examples"
)

// modulePath is the path of Bittern's module. The module has no public home yet, so that of a
// plugin replaces it by a folder.
const modulePath = "bittern"

// SuiteFile is the name of the suite file of a new plugin.
const SuiteFile = "suite.yaml"

// Source returns the folder of Bittern's source: the given one or, if that is empty, the folder
// that this executable was built in. If it is not known or does not have the source, the error
// is a *plugins.Problem.
func Source(given string) (string, error) {
	_, file, _, _ := runtime.Caller(0) // does not fail: this function is on the stack
	return source(given, file)
}

// source is [Source] in an executable whose path of this file is the given one.
func source(given, file string) (string, error) {
	folder := given
	if folder == "" {
		folder = filepath.Dir(filepath.Dir(filepath.Dir(file)))
	}
	if !filepath.IsAbs(folder) && given == "" { // it was built with -trimpath, as releases are
		return "", plugins.Problemf("this bittern does not know where its source is, which a plugin in Go is built with; name a checkout of it with --source")
	}
	folder, err := filepath.Abs(folder)
	if err != nil {
		return "", fmt.Errorf("find Bittern's source: %w", err)
	}
	text, err := os.ReadFile(filepath.Join(folder, "go.mod"))
	if err != nil || modfile.ModulePath(text) != modulePath {
		return "", plugins.Problemf("Bittern's source is not in %s, where there is no go.mod of the module %s; name a checkout of it with --source", folder, modulePath)
	}
	return folder, nil
}

// Files has the contents of a folder's files, by path.
type Files map[string][]byte

// New returns the files of a plugin: a copy of an example under the name of id. A plugin in Go
// is built with the Bittern in the folder source.
func New(example examples.Example, id plugins.ID, source string) (Files, error) {
	files := Files{".gitignore": fmt.Appendf(nil, "/runs/\n")}
	copied := example.Files()
	err := fs.WalkDir(copied, ".", func(path string, entry fs.DirEntry, err error) error {
		if err != nil || entry.IsDir() {
			return err
		}
		content, err := fs.ReadFile(copied, path)
		renamed := func(text string) string { return strings.ReplaceAll(text, example.Name, id.Name) }
		files[renamed(path)] = []byte(renamed(string(content)))
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("copy the example %s: %w", example.Name, err)
	}
	if example.Language != examples.Go {
		files[".gitignore"] = fmt.Appendf(files[".gitignore"], "/bittern\n__pycache__/\n")
		return files, nil
	}
	files[".gitignore"] = fmt.Appendf(files[".gitignore"], "/%s\n", id.Executable())
	if files["go.mod"], err = goMod(id.Executable(), source); err != nil {
		return nil, err
	}
	if files["go.sum"], err = os.ReadFile(filepath.Join(source, "go.sum")); err != nil {
		return nil, fmt.Errorf("copy Bittern's checksums: %w", err)
	}
	return files, nil
}

// goMod returns the go.mod of a plugin's module. It requires the modules that Bittern requires
// in the same versions, so that it builds at once and without a network. It has Bittern's
// command as a tool: `go tool bittern`.
func goMod(path, source string) ([]byte, error) {
	text, err := os.ReadFile(filepath.Join(source, "go.mod"))
	if err != nil {
		return nil, fmt.Errorf("read Bittern's requirements: %w", err)
	}
	bittern, err := modfile.Parse("go.mod", text, nil)
	if err != nil {
		return nil, fmt.Errorf("read Bittern's requirements: %w", err)
	}
	var f modfile.File
	err = errors.Join(f.AddModuleStmt(path), f.AddGoStmt(bittern.Go.Version), f.AddTool(modulePath))
	const version = "v0.0.0"
	requirements := []*modfile.Require{{Mod: module.Version{Path: modulePath, Version: version}}}
	for _, r := range bittern.Require {
		requirements = append(requirements, &modfile.Require{Mod: r.Mod, Indirect: true})
	}
	f.SetRequireSeparateIndirect(requirements)
	if err := errors.Join(err, f.AddReplace(modulePath, version, source, "")); err != nil {
		return nil, fmt.Errorf("write go.mod: %w", err)
	}
	f.Cleanup()
	return f.Format()
}

// Write makes a folder and writes the files to it. If the folder exists and is not empty, the
// error is a *plugins.Problem.
func (files Files) Write(folder string) error {
	entries, err := os.ReadDir(folder)
	switch {
	case err == nil && len(entries) > 0:
		return plugins.Problemf("the folder %s is not empty; name another one with --dir", folder)
	case err != nil && !errors.Is(err, fs.ErrNotExist):
		return plugins.Problemf("%s cannot be a folder for the plugin (%v); name another one with --dir", folder, reason(err))
	}
	for _, path := range slices.Sorted(maps.Keys(files)) {
		mode := fs.FileMode(0o666)
		if bytes.HasPrefix(files[path], []byte("#!")) {
			mode = 0o777
		}
		path, content := filepath.Join(folder, filepath.FromSlash(path)), files[path]
		err := os.MkdirAll(filepath.Dir(path), 0o777)
		if err == nil {
			err = os.WriteFile(path, content, mode)
		}
		if err != nil {
			return plugins.Problemf("the plugin cannot be written to %s (%v); name another folder with --dir", folder, reason(err))
		}
	}
	return nil
}

// reason returns the system's reason for an error, without the path.
func reason(err error) error {
	if path, ok := errors.AsType[*fs.PathError](err); ok {
		return path.Err
	}
	return err
}
