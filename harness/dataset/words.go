package dataset

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"path/filepath"

	"bittern/plugins"
)

// EndOfSentence is the word that stands at the end of each line.
const EndOfSentence = "<eos>"

// Unknown is the word that stands for all that are not in the vocabulary.
const Unknown = "<unk>"

// maxWord bounds the length of a word, in bytes. Longer ones mean that the file
// holds no words.
const maxWord = 1 << 10

// Words is a corpus of words ready for training.
type Words struct {
	Name string

	// Train, Valid and Test hold word ids below len(Vocabulary), with
	// [EndOfSentence] at the end of each line.
	Train, Valid, Test []int32

	// Vocabulary lists the words of the training part, in the order of their first
	// appearance; a line's end counts as an appearance of [EndOfSentence].
	Vocabulary []string

	// SHA256 (hex) is taken over the contents of the train, valid and test files,
	// one after another, each after a line with its length.
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

// LoadWordFiles reads words from a user's own text files, plain or gzip streams
// named ".gz". Words are separated by spaces and tabs; a line ends with LF or CR LF,
// the last one also without, and an empty line is the word [EndOfSentence]
// alone. A word of valid or test that train lacks is read as [Unknown] where train
// has that word, and refused otherwise.
func LoadWordFiles(train, valid, test string) (*Words, error) {
	var files [3]wordFile
	for i, path := range []string{train, valid, test} {
		content, err := readFile(path)
		if err != nil {
			return nil, err
		}
		files[i] = wordFile{path, content}
	}
	words, err := parseWords(files)
	if err != nil {
		return nil, err
	}
	words.Name, words.Split = "words:"+filepath.Base(train), "by file"
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
		if len(file.content) == 0 {
			return nil, plugins.Problemf("%s is empty; give a file with words in it", file.path)
		}
		training := i == 0
		number := 0
		for line := range bytes.Lines(file.content) {
			number++
			line, _ = bytes.CutSuffix(line, []byte("\n"))
			line, _ = bytes.CutSuffix(line, []byte("\r"))
			words, err := wordsOf(line)
			if err != nil {
				return nil, plugins.Problemf("%s line %d: %s", file.path, number, err)
			}
			for _, word := range words {
				id, known := ids[string(word)]
				switch {
				case known:
				case training:
					id = int32(len(ids))
					ids[string(word)] = id
				default:
					if id, known = ids[Unknown]; !known {
						return nil, plugins.Problemf("%s line %d: the word %q does not occur in %s, which has no %s either; replace the word or put %s for rare words in all files",
							file.path, number, word, files[0].path, Unknown, Unknown)
					}
				}
				*part = append(*part, id)
			}
		}
	}
	words.Vocabulary = make([]string, len(ids))
	for word, id := range ids {
		words.Vocabulary[id] = word
	}
	words.SHA256 = hex.EncodeToString(digest.Sum(nil))
	return words, nil
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
