package dataset

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"math"
	"path/filepath"

	"bittern/plugins"
)

// Default is the data set that needs nothing but a Go toolchain.
const Default = "gostd"

// Text is a text of characters ready for training. Every text is treated as
// bytes, as the published vocabulary sizes are byte counts. A symbol's id is its
// rank among the bytes of the text, which is a byte too.
type Text struct {
	// Name is the data set that was loaded. It differs from the one asked for
	// only where Note says why.
	Name string

	// Train, Valid and Test hold symbol ids below len(Vocabulary).
	Train, Valid, Test []byte

	// Vocabulary lists the byte behind each id, ascending. It is the alphabet
	// of the entire text, whatever cap was asked for, so that a capped run
	// has the layer sizes of the full one.
	Vocabulary []byte

	// SHA256 (hex) is taken over the bytes used: Train, Valid and Test one after
	// another. Of a user's own text, [LoadText], it covers the split too. Bytes is
	// the number of bytes used.
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

	// Note is a remark that tables must show beside figures measured on this text; it may
	// be empty.
	Note string
}

// Request names what to load.
type Request struct {
	Name    string
	DataDir string // where data sets that are files lie; empty when the user named none

	// MaxBytes keeps only the first symbols of the text before it is
	// split; of a text published in parts, each keeps its share. 0 is no cap.
	MaxBytes int
}

// textEntry is a data set of characters.
type textEntry interface {
	entry
	load(ctx context.Context, dataDir string, maxBytes int) (*Text, error)
}

// Load reads a text and checks it against its checksum. An unknown name, a
// missing file and a checksum that differs are each a [*plugins.Problem].
func Load(ctx context.Context, request Request) (*Text, error) {
	if request.MaxBytes < 0 {
		return nil, plugins.Problemf("data set %s: the cap is %d bytes; give a positive number, or 0 for no cap", request.Name, request.MaxBytes)
	}
	found, err := lookup(request.Name, ShapeText)
	if err != nil {
		return nil, err
	}
	return found.(textEntry).load(ctx, request.DataDir, request.MaxBytes)
}

// assemble numbers the symbols of three parts and takes their checksum.
func assemble(alphabet, train, valid, test []byte) *Text {
	var id [256]byte
	for i, symbol := range alphabet {
		id[symbol] = byte(i)
	}
	digest := sha256.New()
	encode := func(part []byte) []byte {
		digest.Write(part)
		ids := make([]byte, len(part))
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

// fromOneText caps a data set of one text, splits it and numbers its symbols.
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

// withCap adds to a note that only part of a text was used.
func withCap(note string, used, total int) string {
	if used == total {
		return note
	}
	return withRemark(note, fmt.Sprintf("the first %d of %d characters", used, total))
}

// withRemark adds a remark to a note, which may be empty.
func withRemark(note, remark string) string {
	if note == "" {
		return remark
	}
	return note + "; " + remark
}

// LoadText reads a user's own text, plain or a gzip stream named ".gz", and cuts it
// by position. split holds the fractions of train, valid and test, which add up to 1:
// of n bytes train has ⌊n·split[0]⌋, valid ⌊n·split[1]⌋ and test the rest. No part
// may be empty. maxBytes keeps only the first bytes before the split; 0 is no cap. The
// checksum covers the content used and the split.
func LoadText(path string, split []float64, maxBytes int) (*Text, error) {
	if err := checkSplit(path, split); err != nil {
		return nil, err
	}
	content, err := readFile(path)
	if err != nil {
		return nil, err
	}
	whole := content
	if maxBytes > 0 {
		content = content[:min(maxBytes, len(content))]
	}
	train, valid, err := cut(path, len(content), "bytes", split)
	if err != nil {
		return nil, err
	}
	text := assemble(alphabetOf(whole), content[:train], content[train:train+valid], content[train+valid:])
	text.Name = "text:" + filepath.Base(path)
	text.Split = fractionsByPosition(split)
	text.Note = withCap("", len(content), len(whole))
	identity := sha256.New()
	fmt.Fprintf(identity, "%s\n%s", text.Split, text.SHA256)
	text.SHA256 = hex.EncodeToString(identity.Sum(nil))
	return text, nil
}

// checkSplit refuses fractions that are none of a split.
func checkSplit(path string, split []float64) error {
	if len(split) != 3 {
		return plugins.Problemf("the split of %s has %d fractions; give three, such as [0.9, 0.05, 0.05]", path, len(split))
	}
	for _, fraction := range split {
		if !(fraction > 0 && fraction < 1) {
			return plugins.Problemf("the split of %s holds %v; give three fractions between 0 and 1, such as [0.9, 0.05, 0.05]", path, fraction)
		}
	}
	// Fractions are written in decimal, so their sum may be a little off 1.
	const rounding = 1e-9
	if sum := split[0] + split[1] + split[2]; math.Abs(sum-1) > rounding {
		return plugins.Problemf("the split of %s adds up to %v; give three fractions that add up to 1, such as [0.9, 0.05, 0.05]", path, sum)
	}
	return nil
}

// cut returns how many of n bytes or words train and validate.
func cut(path string, n int, what string, split []float64) (train, valid int, err error) {
	const nudge = 1e-6 // 0.29 of 100 characters are 29, though the product is a little less
	length := float64(n)
	train, valid = int(length*split[0]+nudge), int(length*split[1]+nudge)
	if train == 0 || valid == 0 || train+valid >= n {
		return 0, 0, plugins.Problemf("%s has %d %s, of which the split %v leaves a part empty; give a longer text or another split", path, n, what, split)
	}
	return train, valid, nil
}

// fractionsByPosition names such a split.
func fractionsByPosition(split []float64) string {
	return fmt.Sprintf("%v/%v/%v by position", split[0], split[1], split[2])
}
