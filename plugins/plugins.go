// Package plugins holds the words that every kind of plugin shares: what a
// plugin says of itself, the options it takes, and how a mistake of the user's
// is told apart from a fault of the program.
//
// The packages below it are the contract:
//
//	quantizer, model, backend   one interface each; its .proto is in internal/wire
//	network                     shapes, batches, scores and the program of a deployed network
//	stepgraph                   the op-level description of one time step of a stage
//	packed                      the bit layout of deployed weights
//	arena                       tensors shared between processes
//	sdk                         what a plugin author calls to serve one
//	host                        what the harness calls: find, start, supervise
//	conformance                 the conformance kit: every check of a plugin, as a value
//	plugintest                  the kit as a Go test, for plugin authors
//	null                        a plugin of each kind that does next to nothing
//	examples                    whole plugins outside the executable, in Go and in Python
//
// To add a quantizer, a model or a backend, implement its interface, and call
// the conformance kit in a test (package plugintest, or for an executable in any
// language `bittern plugins test PATH`). Served by package sdk from an executable named
// bittern-<kind>-<name> it is a plugin of its own; with one more line in package
// builtin it comes within this executable, and a test there holds it to the kit in a
// process of its own. Nothing else changes: options are
// checked, lists and reports are made, from what the plugin says of itself.
//
// An external plugin is trusted code: it runs with all rights of the user. It is
// started only when it is asked for, from the bytes whose checksum was taken, with
// few environment variables and, on Linux, under the limits that its suite gives;
// package host says more.
package plugins

import (
	"fmt"
	"regexp"
)

// APIVersion is the version of the contract this tree speaks. A plugin built
// against another major version is refused when it describes itself.
const APIVersion = 2

// Kind says what a plugin is for.
type Kind string

// The three kinds of plugin.
const (
	KindQuantizer Kind = "quantizer"
	KindModel     Kind = "model"
	KindBackend   Kind = "backend"
)

// Kinds lists every kind in the order it is shown to users.
var Kinds = []Kind{KindQuantizer, KindModel, KindBackend}

// ID names a plugin within the catalogue, written "kind/name".
type ID struct {
	Kind Kind   `json:"kind"`
	Name string `json:"name"`
}

func (id ID) String() string { return string(id.Kind) + "/" + id.Name }

// Executable is the file name of an external plugin.
func (id ID) Executable() string { return "bittern-" + string(id.Kind) + "-" + id.Name }

var name = regexp.MustCompile(`^[a-z0-9]+(-[a-z0-9]+)*$`)

// ValidName says whether a plugin or an option can have a name: lower-case letters and
// digits, words set off by single hyphens.
func ValidName(text string) bool { return name.MatchString(text) }

// Description is what a plugin says of itself before it is given any work. The
// host checks options against it: a plugin only ever sees [Values] in which every
// option is there and within its bounds.
type Description struct {
	Kind    Kind     `json:"kind"`
	Name    string   `json:"name"`
	Version string   `json:"version"`
	API     int      `json:"api"`
	Summary string   `json:"summary"`
	Options []Option `json:"options,omitempty"`

	// Traits name the optional calls and properties a kind defines, such as
	// "backward" and "project" of a quantizer.
	Traits []string `json:"traits,omitempty"`

	// Facts are further named properties worth showing to a user: a
	// backend's clock, units, technology and the tables its energy comes from.
	Facts []Fact `json:"facts,omitempty"`
}

// Fact is one named property of a plugin, with the place it comes from.
type Fact struct {
	Name   string `json:"name"`
	Value  string `json:"value"`
	Source string `json:"source,omitempty"`
}

// Problem is a mistake the user can mend: one sentence that says what to do.
// It crosses the process border as itself, so the harness can tell it from a
// fault of the plugin.
type Problem struct{ Sentence string }

func (p *Problem) Error() string { return p.Sentence }

// Problemf makes a Problem from a format.
func Problemf(format string, args ...any) error {
	return &Problem{Sentence: fmt.Sprintf(format, args...)}
}
