// Package dataset holds the texts that language models are trained on: where
// each one comes from, how it is checked, and how it is split.
//
// Every text is treated as bytes, as the published vocabulary sizes are byte
// counts. A symbol's id is its rank among the bytes of the corpus.
package dataset

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"slices"

	"bittern/plugins"
)

// Default is the corpus that needs nothing but a Go toolchain.
const Default = "gostd"

// Text is a corpus ready for training.
type Text struct {
	// Name is the corpus that was loaded. It differs from the one asked for
	// only where Note says why.
	Name string

	// Train, Valid and Test hold symbol ids below len(Vocabulary).
	Train, Valid, Test []int32

	// Vocabulary lists the byte behind each id, ascending. It is the alphabet
	// of the entire corpus, whatever cap was asked for, so that a capped run
	// has the layer sizes of the full one.
	Vocabulary []byte

	// SHA256 (hex) is taken over the bytes used: Train, Valid and Test one after
	// another. Bytes is their number.
	SHA256 string
	Bytes  int

	// Synthetic marks text that a program made up.
	Synthetic bool

	// ProcessBPC is, for synthetic text, what the generating process itself
	// spends on the text in bits per character: no model is better by more
	// than chance. 0 where it is unknown.
	ProcessBPC float64

	// Split says in words how Train, Valid and Test were cut.
	Split string

	// Note is what a table must say beside a figure measured on this text, or
	// nothing.
	Note string
}

// Request names what to load.
type Request struct {
	Name    string
	DataDir string // where corpora that are files lie; empty when the user named none

	// MaxBytes keeps only the first symbols of the corpus before it is
	// split; of a corpus published in parts, each keeps its share. 0 is no cap.
	MaxBytes int
}

// Kind says where a corpus comes from.
type Kind string

// The kinds of corpus.
const (
	Files     Kind = "files"     // read from the data directory
	Toolchain Kind = "toolchain" // read from the Go toolchain's sources
	Generated Kind = "generated" // made by this package
)

// Status is what `data list` shows of one corpus.
type Status struct {
	Name    string `json:"name"`
	Kind    Kind   `json:"kind"`
	Summary string `json:"summary"`
	Present bool   `json:"present"`

	// Missing says why the corpus cannot be loaded where Present is false.
	Missing string `json:"missing,omitempty"`

	// Where lists the places looked at, and Sources what is expected there.
	Where   []string `json:"where,omitempty"`
	Sources []Source `json:"sources,omitempty"`

	// Parts counts the characters of train, valid and test and Vocabulary the
	// distinct ones; both are absent where they depend on the toolchain.
	Parts      []int  `json:"parts,omitempty"`
	Vocabulary int    `json:"vocabulary,omitempty"`
	Split      string `json:"split"`
	Licence    string `json:"licence"`
	Note       string `json:"note,omitempty"`
}

// Source is one file of a corpus, described by its uncompressed content.
type Source struct {
	Path   string `json:"path"` // relative to the data directory, without ".gz"
	Bytes  int64  `json:"bytes"`
	SHA256 string `json:"sha256"`
}

// entry is one corpus of the catalogue.
type entry interface {
	status(ctx context.Context, dataDir string) Status
	load(ctx context.Context, dataDir string, maxBytes int) (*Text, error)
}

func catalogue() (names []string, entries []entry) {
	add := func(name string, e entry) {
		names, entries = append(names, name), append(entries, e)
	}
	add(goStandardLibraryName, goStandardLibrary{})
	add(grammarName, grammar{})
	for _, f := range published {
		add(f.name, f)
	}
	return names, entries
}

// List describes every corpus and says whether it is at hand. It looks for
// files but does not read them.
func List(ctx context.Context, dataDir string) []Status {
	_, entries := catalogue()
	list := make([]Status, len(entries))
	for i, e := range entries {
		list[i] = e.status(ctx, dataDir)
	}
	return list
}

// Load reads a corpus and checks it against its checksum. An unknown name, a
// missing file and a checksum that differs are each a [*plugins.Problem].
func Load(ctx context.Context, request Request) (*Text, error) {
	if request.MaxBytes < 0 {
		return nil, plugins.Problemf("corpus %s: the cap is %d bytes; give a positive number, or 0 for no cap", request.Name, request.MaxBytes)
	}
	names, entries := catalogue()
	i := slices.Index(names, request.Name)
	if i < 0 {
		return nil, plugins.Problemf("there is no corpus %q%s; `bittern data list` shows them all",
			request.Name, plugins.DidYouMean(request.Name, names))
	}
	return entries[i].load(ctx, request.DataDir, request.MaxBytes)
}

// assemble numbers the symbols of three parts and takes their checksum.
func assemble(alphabet, train, valid, test []byte) *Text {
	var id [256]int32
	for i, symbol := range alphabet {
		id[symbol] = int32(i)
	}
	digest := sha256.New()
	encode := func(part []byte) []int32 {
		digest.Write(part)
		ids := make([]int32, len(part))
		for i, symbol := range part {
			ids[i] = id[symbol]
		}
		return ids
	}
	text := &Text{
		Train: encode(train), Valid: encode(valid), Test: encode(test),
		Vocabulary: alphabet,
		Bytes:      len(train) + len(valid) + len(test),
	}
	text.SHA256 = hex.EncodeToString(digest.Sum(nil))
	return text
}

// alphabetOf lists the bytes that occur, ascending.
func alphabetOf(parts ...[]byte) []byte {
	var present [256]bool
	for _, part := range parts {
		for _, symbol := range part {
			present[symbol] = true
		}
	}
	var alphabet []byte
	for symbol, yes := range present {
		if yes {
			alphabet = append(alphabet, byte(symbol))
		}
	}
	return alphabet
}

// partsOf splits a length by position: percent of it, rounded down, for
// training, and half of the rest each for valid and test, which takes the odd one.
func partsOf(length, percent int) []int {
	train := length * percent / 100
	valid := (length - train) / 2
	return []int{train, valid, length - train - valid}
}

// byPosition names such a split, as in "80/10/10 by position".
func byPosition(percent int) string {
	rest := (100 - percent) / 2
	return fmt.Sprintf("%d/%d/%d by position", percent, rest, rest)
}

// fromOneText caps a corpus of one text, splits it and numbers its symbols.
func fromOneText(name string, content []byte, maxBytes, trainPercent int, note string) *Text {
	used := content
	if maxBytes > 0 && maxBytes < len(content) {
		used = content[:maxBytes]
	}
	parts := partsOf(len(used), trainPercent)
	a, b := parts[0], parts[0]+parts[1]
	text := assemble(alphabetOf(content), used[:a], used[a:b], used[b:])
	text.Name, text.Split = name, byPosition(trainPercent)
	text.Note = withCap(note, len(used), len(content))
	return text
}

// withCap adds to a note that only part of a corpus was used.
func withCap(note string, used, total int) string {
	if used == total {
		return note
	}
	limit := fmt.Sprintf("the first %d of %d characters", used, total)
	if note == "" {
		return limit
	}
	return note + "; " + limit
}
