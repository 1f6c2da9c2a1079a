package dataset

import (
	"bytes"
	"cmp"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"path/filepath"
	"slices"

	"bittern/plugins"
)

// EndOfSentence is the word that stands at the end of each line.
const EndOfSentence = "<eos>"

// Unknown is the word that replaces all words that are not in the vocabulary.
const Unknown = "<unk>"

// maxWord bounds the length of a word, in bytes. Longer ones mean that the file
// holds no words.
const maxWord = 1 << 10

// Words is a text of words ready for training.
type Words struct {
	Name string

	// Train, Valid and Test hold word ids below len(Vocabulary), with
	// [EndOfSentence] at the end of each line.
	Train, Valid, Test []int32

	// Vocabulary lists the words of the training part. Those of a data set are in the
	// order of their first appearance; a line's end counts as an appearance of
	// [EndOfSentence].
	Vocabulary []string

	// SHA256 (hex) identifies the content. Of a data set it is taken over the contents
	// of the train, valid and test files, one after another, each after a line with
	// its length; of a user's own text see [LoadWordText].
	SHA256 string

	Split string // how the parts came to be, in words
	Note  string // what a table must say beside a figure measured on these words
}

// ptbWords are the words of Penn Treebank as Mikolov et al. (2010) prepared them.
var ptbWords = Set{
	Name: "ptb-word", Shape: ShapeWords, Status: Published,
	Summary: "Penn Treebank as words, in Mikolov's preprocessing",
	Sources: []Source{
		{Path: "ptb/ptb.train.txt", Bytes: 5_101_618, SHA256: "fcea919f6cf83f35d4d00c6cbf08040d13d4155226340912e2fef9c9c4102cbf"},
		{Path: "ptb/ptb.valid.txt", Bytes: 399_782, SHA256: "c9fe6985fe0d4ccb578183407d7668fc6066c20700cb4cf87d8ff1cc34df1bf2"},
		{Path: "ptb/ptb.test.txt", Bytes: 449_945, SHA256: "dd65dff31e70846b2a6030a87482edcd5d199130cdcfa1f3dccbb033728deee0"},
	},
	Described: mikolov, ByHand: "ptb.{train,valid,test}.txt of Mikolov's simple-examples",
	Parts: []int{929_589, 73_760, 82_430}, Vocabulary: 10_000, Split: asPublished,
	Licence: ptbLicence,
}

// LoadWords reads a data set of words and checks it against its checksums and the
// published numbers of tokens.
func LoadWords(ctx context.Context, name, dataDir string) (*Words, error) {
	found, err := lookup(name, ShapeWords)
	if err != nil {
		return nil, err
	}
	set := found.describe()
	var files [3]wordFile
	for i, source := range set.Sources {
		if err := ctx.Err(); err != nil {
			return nil, err
		}
		if files[i].content, files[i].path, err = set.read(dataDir, source); err != nil {
			return nil, err
		}
	}
	words, err := parseWords(files)
	if err != nil {
		return nil, err
	}
	words.Name, words.Split, words.Note = set.Name, set.Split, set.Note
	for i, part := range [][]int32{words.Train, words.Valid, words.Test} {
		if len(part) != set.Parts[i] {
			return nil, fmt.Errorf("data set %s: %s has %d tokens, but %d were published", name, files[i].path, len(part), set.Parts[i])
		}
	}
	if len(words.Vocabulary) != set.Vocabulary {
		return nil, fmt.Errorf("data set %s has %d words, but %d were published", name, len(words.Vocabulary), set.Vocabulary)
	}
	return words, nil
}

// LoadWordText reads words from a user's own text, plain or a gzip stream named
// ".gz", and cuts them by position. Words are separated by spaces and tabs; a line
// ends with LF or CR LF, the last one also without, and each end is the word
// [EndOfSentence]. split holds the fractions of train, valid and test, as for
// [LoadText], of the words.
//
// The vocabulary is [EndOfSentence], [Unknown], and the words of the training part,
// the most frequent first and equally frequent ones in the order of their first
// appearance; where most is not 0 it is cut to that size. All other words are read as
// [Unknown]. The checksum covers the content, the split and most.
func LoadWordText(path string, split []float64, most int) (*Words, error) {
	if err := checkSplit(path, split); err != nil {
		return nil, err
	}
	if most < 0 || most > 0 && most < 3 {
		return nil, plugins.Problemf("a vocabulary of %d words leaves none beside %s and %s; give at least 3, or 0 for all", most, EndOfSentence, Unknown)
	}
	content, err := readFile(path)
	if err != nil {
		return nil, err
	}
	return parseWordText(wordFile{path, content}, split, most)
}

func parseWordText(file wordFile, split []float64, most int) (*Words, error) {
	ids := map[string]int32{EndOfSentence: 0, Unknown: 1}
	vocabulary := []string{EndOfSentence, Unknown}
	var all []int32
	err := file.each(func(_ int, word []byte) error {
		id, known := ids[string(word)]
		if !known {
			id = int32(len(vocabulary))
			vocabulary = append(vocabulary, string(word))
			ids[vocabulary[id]] = id
		}
		all = append(all, id)
		return nil
	})
	if err != nil {
		return nil, err
	}
	train, valid, err := cut(file.path, len(all), "words", split)
	if err != nil {
		return nil, err
	}
	counts := make([]int, len(vocabulary))
	for _, id := range all[:train] {
		counts[id]++
	}
	var order []int32 // of the words besides the first two
	for id := 2; id < len(vocabulary); id++ {
		if counts[id] > 0 {
			order = append(order, int32(id))
		}
	}
	slices.SortStableFunc(order, func(x, y int32) int { return cmp.Compare(counts[y], counts[x]) })
	if most > 0 && most-2 < len(order) {
		order = order[:most-2]
	}
	final := make([]int32, len(vocabulary))
	for id := range final {
		final[id] = 1 // Unknown
	}
	final[0] = 0
	words := &Words{Name: "words:" + filepath.Base(file.path), Vocabulary: []string{EndOfSentence, Unknown}, Split: fractionsByPosition(split)}
	for _, id := range order {
		final[id] = int32(len(words.Vocabulary))
		words.Vocabulary = append(words.Vocabulary, vocabulary[id])
	}
	for i, id := range all {
		all[i] = final[id]
	}
	words.Train, words.Valid, words.Test = all[:train:train], all[train:train+valid:train+valid], all[train+valid:]
	identity := sha256.New()
	fmt.Fprintf(identity, "%s\n%d\n%s", words.Split, most, file.content)
	words.SHA256 = hex.EncodeToString(identity.Sum(nil))
	return words, nil
}

type wordFile struct {
	path    string
	content []byte
}

// parseWords reads train, valid and test.
func parseWords(files [3]wordFile) (*Words, error) {
	ids := make(map[string]int32)
	words := &Words{}
	digest := sha256.New()
	for i, part := range []*[]int32{&words.Train, &words.Valid, &words.Test} {
		file := files[i]
		fmt.Fprintf(digest, "%d\n", len(file.content))
		digest.Write(file.content)
		training := i == 0
		err := file.each(func(line int, word []byte) error {
			id, known := ids[string(word)]
			switch {
			case known:
			case training:
				id = int32(len(ids))
				ids[string(word)] = id
			default:
				if id, known = ids[Unknown]; !known {
					return plugins.Problemf("%s line %d: the word %q does not occur in %s, which has no %s either; replace the word or put %s for rare words in all files",
						file.path, line, word, files[0].path, Unknown, Unknown)
				}
			}
			*part = append(*part, id)
			return nil
		})
		if err != nil {
			return nil, err
		}
	}
	words.Vocabulary = make([]string, len(ids))
	for word, id := range ids {
		words.Vocabulary[id] = word
	}
	words.SHA256 = hex.EncodeToString(digest.Sum(nil))
	return words, nil
}

// each visits the words of a file, with the number of their line.
func (f wordFile) each(visit func(line int, word []byte) error) error {
	if len(f.content) == 0 {
		return plugins.Problemf("%s is empty; give a file with words in it", f.path)
	}
	number := 0
	for line := range bytes.Lines(f.content) {
		number++
		line, _ = bytes.CutSuffix(line, []byte("\n"))
		line, _ = bytes.CutSuffix(line, []byte("\r"))
		words, err := wordsOf(line)
		if err != nil {
			return plugins.Problemf("%s line %d: %s", f.path, number, err)
		}
		for _, word := range words {
			if err := visit(number, word); err != nil {
				return err
			}
		}
	}
	return nil
}

// wordsOf splits a line and adds [EndOfSentence].
func wordsOf(line []byte) ([][]byte, error) {
	words := bytes.FieldsFunc(line, func(r rune) bool { return r == ' ' || r == '\t' })
	for _, word := range words {
		switch {
		case string(word) == EndOfSentence:
			return nil, fmt.Errorf("the word %s stands in the text, but every line's end is read as it; remove it", EndOfSentence)
		case len(word) > maxWord:
			return nil, fmt.Errorf("a word has %d bytes, more than %d; separate words by spaces", len(word), maxWord)
		case bytes.ContainsFunc(word, func(r rune) bool { return r < ' ' || r == 0x7f }):
			return nil, fmt.Errorf("the word %q holds a control character; give a text file", word)
		}
	}
	return append(words, []byte(EndOfSentence)), nil
}
