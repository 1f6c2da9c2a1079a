// Package host is what the harness calls. It finds plugins, starts each in a process of its own,
// checks what the plugin says of itself, and supervises every call.
//
// errors.As tells three kinds of errors apart. A *plugins.Problem is a mistake that the user can
// correct. A *backend.ErrUnsupported is a request that the backend does not claim to serve. A
// *[Failure] is a plugin that crashed, hung, reported a fault or answered nonsense. Any other
// error is a fault of the host, or the end of the caller's context.
package host

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"

	"bittern/internal/arena"
	"bittern/internal/checked"
	"bittern/plugins"
)

// prefix begins the names of plugin executables. Kind and name follow, with a hyphen between
// them.
const prefix = "bittern-"

// Catalogue lists the plugins that can be started: those built into this executable, and
// executables named bittern-<kind>-<name> in the plugin folder and, after SearchPath, on PATH.
//
// External plugins are trusted code: they have all rights of the user who starts them. A
// Catalogue only makes sure that nothing runs unless it was asked for: List and Find start
// nothing, and what is started is what the checksum was taken of.
type Catalogue struct {
	builtins []plugins.ID
	folder   string   // may be empty
	path     []string // the folders of PATH; none unless they are searched
	self     string
	describe DescribeBuiltin            // may be nil
	output   func(plugins.ID) io.Writer // may be nil
}

// DescribeBuiltin returns what a built-in plugin says of itself.
type DescribeBuiltin func(context.Context, plugins.ID) (plugins.Description, error)

// DescribeInProcess makes Describe ask built-in plugins in this process, through the given
// function, instead of starting each.
func (c *Catalogue) DescribeInProcess(describe DescribeBuiltin) { c.describe = describe }

// LogOutput sends what a plugin prints to the writer that output returns for it, unless
// [Settings.Output] is set.
func (c *Catalogue) LogOutput(output func(plugins.ID) io.Writer) { c.output = output }

// NewCatalogue returns a catalogue of the given built-in plugins and of the executables in a
// folder; none if folder is empty. This executable serves a built-in plugin when it is run with
// the arguments "plugin <kind>/<name>". A folder that cannot be read is a *plugins.Problem.
// NewCatalogue removes the arenas and sockets that killed runs have left behind.
func NewCatalogue(builtins []plugins.ID, folder string) (*Catalogue, error) {
	self, err := os.Executable()
	if err != nil {
		return nil, fmt.Errorf("find the plugins built into this executable: %w", err)
	}
	arena.Sweep("")
	sweepSockets(os.TempDir())
	if folder != "" {
		_, err := os.ReadDir(folder)
		if errors.Is(err, fs.ErrNotExist) {
			return nil, plugins.Problemf("the plugin folder %s does not exist; make it, or name the one that holds your plugins", folder)
		}
		if err != nil {
			return nil, plugins.Problemf("the plugin folder %s cannot be read (%v); name a folder that holds your plugins", folder, reason(err))
		}
	}
	return &Catalogue{builtins: slices.Clone(builtins), folder: folder, self: self}, nil
}

// SearchPath adds the executables on PATH to the catalogue.
func (c *Catalogue) SearchPath() { c.path = filepath.SplitList(os.Getenv("PATH")) }

// Entry is one plugin that could be started.
type Entry struct {
	plugins.ID
	Path    string `json:"path"` // the executable that serves it
	Builtin bool   `json:"builtin"`
	// HiddenBy is the path of the plugin of the same kind and name that is used instead of this
	// one. Built-in plugins come first, then those in the plugin folder, then those on PATH in
	// its order.
	HiddenBy string `json:"hidden_by,omitempty"`
	// Problem says why the plugin cannot be started.
	Problem string `json:"problem,omitempty"`

	powerless bool // it is on PATH but cannot be executed
}

func (e Entry) args() []string {
	if e.Builtin {
		return []string{"plugin", e.ID.String()}
	}
	return nil
}

// List returns all plugins, sorted by kind and name. Hidden plugins come after those that hide
// them. It starts none.
func (c *Catalogue) List() ([]Entry, error) {
	var entries []Entry
	for _, id := range c.builtins {
		entries = append(entries, Entry{ID: id, Path: c.self, Builtin: true})
	}
	if c.folder != "" {
		external, err := scan(c.folder)
		if err != nil {
			return nil, err
		}
		entries = append(entries, external...)
	}
	for _, folder := range c.path {
		external, err := scan(folder)
		if err != nil {
			return nil, err
		}
		for _, e := range external {
			// On PATH a file that cannot be executed hides no other, as in a shell.
			e.powerless = e.Problem != ""
			entries = append(entries, e)
		}
	}
	slices.SortStableFunc(entries, func(a, b Entry) int {
		return cmp.Or(slices.Index(plugins.Kinds, a.Kind)-slices.Index(plugins.Kinds, b.Kind), strings.Compare(a.Name, b.Name), last(a.powerless, b.powerless))
	})
	for i := 1; i < len(entries); i++ {
		if first := entries[i-1]; first.ID == entries[i].ID {
			entries[i].HiddenBy = first.Path
			if first.HiddenBy != "" {
				entries[i].HiddenBy = first.HiddenBy
			}
		}
	}
	// A folder may be on PATH twice, or be the plugin folder too.
	entries = slices.DeleteFunc(entries, func(e Entry) bool { return e.HiddenBy != "" && !e.Builtin && (e.powerless || e.HiddenBy == e.Path) })
	return entries, nil
}

// last compares two values, false before true.
func last(a, b bool) int {
	switch {
	case a == b:
		return 0
	case a:
		return 1
	}
	return -1
}

// scan finds the plugins in a folder. If the folder does not exist or the user may not read it,
// there are none.
func scan(folder string) ([]Entry, error) {
	files, err := os.ReadDir(folder)
	if errors.Is(err, fs.ErrNotExist) || errors.Is(err, fs.ErrPermission) {
		return nil, nil
	}
	if err != nil && len(files) == 0 {
		// PATH may name something that is no folder.
		if info, statErr := os.Stat(folder); statErr == nil && !info.IsDir() {
			return nil, nil
		}
		return nil, fmt.Errorf("look for plugins in %s: %w", folder, err)
	}
	var entries []Entry
	for _, file := range files {
		id, ok := parse(file.Name())
		if !ok {
			continue
		}
		path, err := filepath.Abs(filepath.Join(folder, file.Name()))
		if err != nil {
			return nil, fmt.Errorf("look for plugins in %s: %w", folder, err)
		}
		info, err := os.Stat(path)
		if err != nil || info.IsDir() {
			continue
		}
		entry := Entry{ID: id, Path: path}
		if !isExecutable(info) {
			entry.Problem = notExecutable
		}
		entries = append(entries, entry)
	}
	return entries, nil
}

// parse returns the kind and name that the file name of an executable has.
func parse(file string) (plugins.ID, bool) {
	if runtime.GOOS == "windows" {
		file = strings.TrimSuffix(file, ".exe")
	}
	rest, ok := strings.CutPrefix(file, prefix)
	if !ok {
		return plugins.ID{}, false
	}
	kind, name, _ := strings.Cut(rest, "-")
	id := plugins.ID{Kind: plugins.Kind(kind), Name: name}
	return id, name != "" && slices.Contains(plugins.Kinds, id.Kind)
}

const notExecutable = "the file is not executable; allow it with chmod +x, or give it another name"

func isExecutable(info fs.FileInfo) bool {
	if runtime.GOOS == "windows" {
		return strings.EqualFold(filepath.Ext(info.Name()), ".exe")
	}
	return info.Mode()&0o111 != 0
}

// Find returns the plugin of this kind and name. If there is none, the error is a
// *plugins.Problem that names the nearest name.
func (c *Catalogue) Find(id plugins.ID) (Entry, error) {
	entries, err := c.List()
	if err != nil {
		return Entry{}, err
	}
	var names []string
	for _, e := range entries {
		if e.ID == id {
			if e.Problem != "" {
				return Entry{}, plugins.Problemf("%s (%s) cannot be started: %s", id, e.Path, e.Problem)
			}
			return e, nil
		}
		if e.Kind == id.Kind && e.HiddenBy == "" {
			names = append(names, e.Name)
		}
	}
	if !slices.Contains(plugins.Kinds, id.Kind) {
		return Entry{}, plugins.Problemf("there is no kind of plugin %q; the kinds are %s, %s and %s", id.Kind, plugins.Kinds[0], plugins.Kinds[1], plugins.Kinds[2])
	}
	if len(names) == 0 {
		return Entry{}, plugins.Problemf("there is no %s at all; put an executable named %s%s-%s into a folder and name that with --plugins", id.Kind, prefix, id.Kind, id.Name)
	}
	return Entry{}, plugins.Problemf("there is no %s named %q%s; there are %s%s", id.Kind, id.Name, plugins.DidYouMean(id.Name, names), strings.Join(names, ", "), c.Hint(string(id.Kind), id.Name))
}

// Hint ends a sentence which says that a plugin is not known. It says what an external plugin
// may lack: the right name, or the right folder. kind may be empty.
func (c *Catalogue) Hint(kind, name string) string {
	if c.folder == "" {
		return "; an external plugin is looked for in the folder of --plugins"
	}
	if name != filepath.Base(name) {
		return ""
	}
	for _, file := range []string{name, name + ".py", name + ".exe"} {
		if info, err := os.Stat(filepath.Join(c.folder, file)); err == nil && info.Mode().IsRegular() {
			return fmt.Sprintf("; %s is not named as a plugin is: rename it %s%s-%s", filepath.Join(c.folder, file), prefix, cmp.Or(kind, "KIND"), name)
		}
	}
	return ""
}

// Checksum returns the SHA-256 of the executable of an external plugin, in hexadecimal; empty
// for a built-in plugin, whose executable already runs. It starts nothing. With it as
// Settings.SHA256, a plugin is started only if it is still the same.
func (c *Catalogue) Checksum(ctx context.Context, id plugins.ID) (string, error) {
	if err := ctx.Err(); err != nil {
		return "", context.Cause(ctx)
	}
	entry, err := c.Find(id)
	if err != nil || entry.Builtin {
		return "", err
	}
	file, err := openExecutable(entry, "")
	if err != nil {
		return "", err
	}
	return file.sum, file.close()
}

// Describe starts a plugin, asks for its description, and ends it. If
// [Catalogue.DescribeInProcess] was called, it asks a built-in plugin in this process instead. A
// plugin that fails here is of no use, and the user has to repair or replace it: the error is a
// *plugins.Problem with the last lines that the plugin printed.
func (c *Catalogue) Describe(ctx context.Context, id plugins.ID, settings Settings) (plugins.Description, error) {
	if c.describe != nil && settings.SHA256 == "" {
		entry, err := c.Find(id)
		if err != nil {
			return plugins.Description{}, err
		}
		if entry.Builtin {
			return c.describeBuiltin(ctx, id, settings)
		}
	}
	process, err := c.open(ctx, id, settings)
	if failure, ok := errors.AsType[*Failure](err); ok {
		said := ""
		if words := lastWords(failure.Stderr); words != "" && failure.Call != startCall { // whose Detail has them
			said = "; its last words: " + words
		}
		return plugins.Description{}, plugins.Problemf("%s cannot describe itself (%s%s); mend it or do without it", id, failure, said)
	}
	if err != nil {
		return plugins.Description{}, err
	}
	return process.Description(), process.Close()
}

func (c *Catalogue) describeBuiltin(ctx context.Context, id plugins.ID, settings Settings) (plugins.Description, error) {
	if err := settings.Limits.check(id); err != nil {
		return plugins.Description{}, err
	}
	description, err := c.describe(ctx, id)
	if err == nil {
		err = checked.Description(description)
	}
	if err != nil {
		return plugins.Description{}, fmt.Errorf("describe %s: %w", id, err)
	}
	return description, nil
}

func (c *Catalogue) open(ctx context.Context, id plugins.ID, settings Settings) (*Process, error) {
	switch id.Kind {
	case plugins.KindQuantizer:
		p, err := c.Quantizer(ctx, id.Name, settings)
		if err != nil {
			return nil, err
		}
		return p.Process, nil
	case plugins.KindModel:
		p, err := c.Model(ctx, id.Name, settings)
		if err != nil {
			return nil, err
		}
		return p.Process, nil
	case plugins.KindBackend:
		p, err := c.Backend(ctx, id.Name, settings)
		if err != nil {
			return nil, err
		}
		return p.Process, nil
	}
	_, err := c.Find(id)
	return nil, err
}
