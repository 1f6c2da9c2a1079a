// Package dataset holds the data that networks are trained on: texts, words,
// labelled images and reading questions. It says where each data set comes from,
// fetches it, checks it against its checksums, parses it strictly and splits it.
//
// A published data set, a prefix of it, and a stand-in for it have different names, so that a
// figure measured on one of them is never taken for a figure of another.
package dataset

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"slices"

	"bittern/plugins"
)

// Shape says what the examples of a data set are, and so which function loads it.
type Shape string

// The shapes.
const (
	ShapeText     Shape = "text"     // characters: [Load]
	ShapeWords    Shape = "words"    // words: [LoadWords]
	ShapeImages   Shape = "images"   // labelled images: [LoadImages]
	ShapeReading  Shape = "reading"  // a document, a question and an answer: [LoadReading]
	ShapeSequence Shape = "sequence" // generated sequences of symbols: [DelayedCopy]
)

// Status says how a data set relates to published data.
type Status string

// The statuses.
const (
	Published Status = "published" // the published data, whole
	Prefix    Status = "prefix"    // the beginning of published data
	StandIn   Status = "stand-in"  // other data of the same kind
	Generated Status = "generated" // made by this package
	Toolchain Status = "toolchain" // read from the Go toolchain's sources
)

// Set describes a data set.
type Set struct {
	Name    string `json:"name"`
	Summary string `json:"summary"`
	Shape   Shape  `json:"shape"`
	Status  Status `json:"status"`

	// Sources are the files that it is read from; none if the data are generated.
	Sources []Source `json:"sources,omitempty"`

	// Downloads are the canonical addresses that hold the sources. A set with
	// sources but without downloads is placed by hand.
	Downloads []Download `json:"downloads,omitempty"`

	// Described is where its publisher describes it.
	Described string `json:"described,omitempty"`

	// ByHand says which files a user puts in place.
	ByHand string `json:"by_hand,omitempty"`

	// Parts counts the characters, words, images or questions of train, valid and
	// test, and Vocabulary the symbols or classes. Both are absent where they
	// depend on the toolchain or on what is chosen from the set.
	Parts      []int `json:"parts,omitempty"`
	Vocabulary int   `json:"vocabulary,omitempty"`

	Split   string `json:"split"`
	Licence string `json:"licence"`
	Note    string `json:"note,omitempty"` // what a table must say beside a figure measured on it
}

// Source is one file of a data set, described by its uncompressed content. In
// the data directory it lies plain or as one gzip stream with ".gz" appended to
// its name.
type Source struct {
	Path   string `json:"path"` // relative to the data directory, without ".gz"
	Bytes  int64  `json:"bytes"`
	SHA256 string `json:"sha256,omitempty"`

	// GitBlob is git's id of the content: the SHA-1 of a header with the length,
	// and the content. It is used if no SHA-256 was published.
	GitBlob string `json:"git_blob,omitempty"`
}

// Info is a data set and what was found of it in the data directory.
type Info struct {
	Set
	Present bool `json:"present"`

	// Missing says why the data set cannot be loaded where Present is false.
	Missing string `json:"missing,omitempty"`

	// Where lists the places looked at.
	Where []string `json:"where,omitempty"`

	// SHA256 identifies the content of all files; see [Set.Digest].
	SHA256 string `json:"sha256,omitempty"`
}

// entry is one data set of the registry.
type entry interface {
	describe() Set

	// locate returns the places where the data set is looked for, and an error
	// that says why it cannot be loaded.
	locate(ctx context.Context, dataDir string) (where []string, missing error)
}

// registry lists every data set, in the order of `data list`.
func registry() []entry {
	entries := []entry{goStandardLibrary{}, grammar{}}
	for _, text := range publishedTexts {
		entries = append(entries, text)
	}
	entries = append(entries, ptbWords, mnist, cnn, cnnExamples, clozeSet{}, babi, babi10k, copySet{})
	return entries
}

// names lists the data sets of one shape, or of all.
func names(shape Shape) []string {
	var all []string
	for _, e := range registry() {
		if set := e.describe(); shape == "" || set.Shape == shape {
			all = append(all, set.Name)
		}
	}
	return all
}

// Names lists all data sets.
func Names() []string { return names("") }

// lookup finds the data set of a name that has a shape.
func lookup(name string, shape Shape) (entry, error) {
	for _, e := range registry() {
		set := e.describe()
		if set.Name != name {
			continue
		}
		if set.Shape != shape {
			return nil, plugins.Problemf("data set %s is of shape %s, but one of shape %s is needed; `bittern data list` shows all data sets", name, set.Shape, shape)
		}
		return e, nil
	}
	return nil, plugins.Problemf("there is no data set of shape %s %q%s; `bittern data list` shows them all", shape, name, plugins.DidYouMean(name, names(shape)))
}

// Find describes the data set of a name.
func Find(name string) (Set, error) {
	for _, e := range registry() {
		if set := e.describe(); set.Name == name {
			return set, nil
		}
	}
	return Set{}, plugins.Problemf("there is no data set %q%s; `bittern data list` shows them all", name, plugins.DidYouMean(name, Names()))
}

// List describes every data set and says whether its files are there. It looks for files but
// does not read them.
func List(ctx context.Context, dataDir string) []Info {
	var list []Info
	for _, e := range registry() {
		info := Info{Set: e.describe(), Present: true}
		info.SHA256 = info.Digest()
		where, err := e.locate(ctx, dataDir)
		info.Where = where
		if err != nil {
			info.Present, info.Missing = false, err.Error()
		}
		list = append(list, info)
	}
	return list
}

// Digest identifies the content of all sources: the SHA-256 of the one file, or of
// the lines "SHA-256, two spaces, path" of several, in their order. It is empty for
// a set without sources and for one whose SHA-256 is not known.
func (s Set) Digest() string {
	unknown := slices.ContainsFunc(s.Sources, func(f Source) bool { return f.SHA256 == "" })
	switch {
	case len(s.Sources) == 0 || unknown:
		return ""
	case len(s.Sources) == 1:
		return s.Sources[0].SHA256
	}
	digest := sha256.New()
	for _, source := range s.Sources {
		fmt.Fprintf(digest, "%s  %s\n", source.SHA256, source.Path)
	}
	return hex.EncodeToString(digest.Sum(nil))
}
