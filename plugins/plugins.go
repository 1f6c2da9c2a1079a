// Package plugins has what every kind of plugin shares: how a plugin describes itself, the
// options it takes, and how a user's mistake is told apart from a fault of the program.
//
// An author's module imports these packages, and no others of Bittern's; the rest is
// internal, or changes without notice:
//
//	bittern/plugins                 descriptions, options, problems of the user
//	bittern/plugins/quantizer       the contract of quantizers, and a Base to embed
//	bittern/plugins/model           the contract of models, and a Base to embed
//	bittern/plugins/backend         the contract of backends
//	bittern/plugins/network         shapes, batches, scores, and the program of a deployed network
//	bittern/plugins/network/sample  a program of every kind that backends meet, for their tests
//	bittern/plugins/stepgraph       what a network computes at one time step
//	bittern/plugins/packed          the bit layout of deployed weights
//	bittern/plugins/sdk             serves a plugin
//	bittern/plugins/plugintest      the conformance kit as a Go test
//	bittern/models/stack            recurrent layers of one kind under a softmax
//	bittern/models/recurrent        recurrent layers with their normalizations
//	bittern/models/graph            automatic differentiation over those layers
//
// To add a quantizer, a model or a backend, implement its interface, serve it with package
// sdk from an executable named bittern-<kind>-<name>, and call the conformance kit in a
// test. `bittern plugins new` writes all of that, as a copy of one of the plugins in the
// folder examples, and docs/authors.md explains it. A plugin that is to come with Bittern
// needs one line in package builtin instead of an executable; a test there holds it to the
// kit in a process of its own. Nothing else changes: lists, checks of options and reports
// are made from the plugin's description.
//
// An external plugin is trusted code: it runs with all rights of the user. Bittern starts
// it only when it is asked for, from the bytes whose checksum was taken, with few
// environment variables and, on Linux, under the limits that its suite gives.
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

// Description is what a plugin says of itself before it gets any work. Bittern checks options
// against it: a plugin only ever gets [Values] that have every option, within its bounds.
type Description struct {
	Kind    Kind     `json:"kind"`
	Name    string   `json:"name"`
	Version string   `json:"version"`
	API     int      `json:"api"`
	Summary string   `json:"summary"`
	Options []Option `json:"options,omitempty"`

	// Traits name the optional calls that the plugin has, and properties of it. Each kind
	// defines its own, such as "backward" and "project" of a quantizer.
	Traits []string `json:"traits,omitempty"`

	// Facts are further properties that users are shown, such as a backend's clock and the
	// tables that its energy comes from.
	Facts []Fact `json:"facts,omitempty"`
}

// Fact is one named property of a plugin, and its source.
type Fact struct {
	Name   string `json:"name"`
	Value  string `json:"value"`
	Source string `json:"source,omitempty"`
}

// Problem is a mistake that the user can mend: one sentence that says what to do. Any other
// error of a plugin is taken as a fault of the plugin.
type Problem struct{ Sentence string }

func (p *Problem) Error() string { return p.Sentence }

// Problemf makes a Problem from a format.
func Problemf(format string, args ...any) error {
	return &Problem{Sentence: fmt.Sprintf(format, args...)}
}
