package dataset

import (
	"bytes"
	"compress/gzip"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"bittern/plugins"
)

// fileCorpus is a corpus that lies in the data directory as files, each plain
// or as a single gzip stream with ".gz" appended to its name.
type fileCorpus struct {
	name    string
	summary string

	// sources is the one file to split by position, or train, valid, test.
	sources []Source

	// trainPercent is the training share of a corpus of one file.
	trainPercent int

	// spaced marks files that carry a space after every character.
	spaced bool

	vocabulary int
	licence    string
	note       string
	origin     string // how a user gets the files
}

// asPublished names the split of a corpus that comes in parts.
const asPublished = "as published"

// published are the character corpora of Ardakani et al., "Learning Recurrent
// Binary/Ternary Weights" (ICLR 2019). Lengths and alphabets are the published
// ones except where the note says otherwise; the checksums are of the content.
var published = []fileCorpus{
	{
		name:    "warpeace",
		summary: "Tolstoy, War and Peace, in Karpathy's copy",
		sources: []Source{
			{"warpeace/warpeace_input.txt", 3_258_246, "fb66ba999dafe24017cdd59e04c56d385a9c8466993d374fd4c6f08b2142985e"},
		},
		trainPercent: 80,
		vocabulary:   87,
		licence:      "public domain in the USA (Project Gutenberg translation)",
		origin:       "warpeace_input.txt of Karpathy, Johnson and Fei-Fei (2015)",
	},
	{
		name:    "ptb-char",
		summary: "Penn Treebank as characters, in Mikolov's preprocessing",
		sources: []Source{
			{"ptb/ptb.char.train.txt", 10_034_964, "e313d91425e06c4f0a8fb6e881dcce0c291f2a0e9f4dda54833069b122f91da9"},
			{"ptb/ptb.char.valid.txt", 786_084, "21661f63ec355085879458b6524644d4add5573541b4be14fb52ab2e2e995eb8"},
			{"ptb/ptb.char.test.txt", 884_846, "1ef5607ac3c463b16e38bfe7900dd3bfc91de5a96e0f21e7eab5188b465b8ebe"},
		},
		spaced:     true,
		vocabulary: 50,
		licence:    "Wall Street Journal text of the LDC (LDC99T42); widely redistributed for research, no free licence known",
		origin:     "ptb.char.{train,valid,test}.txt of Mikolov's simple-examples",
	},
	{
		name:    "linux",
		summary: "sources of the Linux kernel's own kernel/ folder, release 4.1.15",
		sources: []Source{
			{"linux/linux_kernel_dir_4.1.15.txt", 6_206_996, "eaa1e2b6a9d20f91cb4ee90279c7a764a7807a831d404b8bb792e980d963e6a2"},
		},
		trainPercent: 90,
		vocabulary:   101,
		licence:      "GPL-2.0",
		note:         "stand-in: length and alphabet of Karpathy's linux_input.txt, but other files of the kernel in another order",
		origin:       "kernel/**/*.c and *.h of Linux 4.1.15, ordered by the SHA-256 of their path, joined and cut to 6,206,996 bytes",
	},
	{
		name:    "text8",
		summary: "English Wikipedia of 2006, letters and spaces (Mahoney's text8)",
		sources: []Source{
			{"text8/text8.first6877825", 6_877_825, "8c5551457ad85e6f248e016443493f940756c7582473e6bbfcafcbe27fc98836"},
		},
		trainPercent: 90,
		vocabulary:   27,
		licence:      "GFDL / CC BY-SA",
		note:         "prefix: the first 6,877,825 of text8's 100,000,000 characters, split within itself",
		origin:       "the first 6,877,825 bytes of text8",
	},
}

func (c fileCorpus) status(_ context.Context, dataDir string) Status {
	s := Status{
		Name: c.name, Kind: Files, Summary: c.summary, Present: true,
		Sources: c.sources, Parts: c.parts(), Vocabulary: c.vocabulary,
		Split: asPublished, Licence: c.licence, Note: c.note,
	}
	if len(c.sources) == 1 {
		s.Split = byPosition(c.trainPercent)
	}
	for _, source := range c.sources {
		path, err := c.find(dataDir, source)
		if err != nil {
			if s.Present {
				s.Present, s.Missing = false, err.Error()
			}
			path = c.expected(dataDir, source)
		}
		s.Where = append(s.Where, path)
	}
	return s
}

// parts counts the characters of train, valid and test.
func (c fileCorpus) parts() []int {
	if len(c.sources) == 1 {
		return partsOf(int(c.sources[0].Bytes), c.trainPercent)
	}
	var parts []int
	for _, source := range c.sources {
		characters := int(source.Bytes)
		if c.spaced {
			characters /= 2
		}
		parts = append(parts, characters)
	}
	return parts
}

func (c fileCorpus) load(ctx context.Context, dataDir string, maxBytes int) (*Text, error) {
	parts := make([][]byte, len(c.sources))
	for i, source := range c.sources {
		if err := ctx.Err(); err != nil {
			return nil, err
		}
		content, err := c.read(dataDir, source)
		if err != nil {
			return nil, err
		}
		if c.spaced {
			content = everySecond(content)
		}
		parts[i] = content
	}
	if len(parts) == 1 {
		return fromOneText(c.name, parts[0], maxBytes, c.trainPercent, c.note), nil
	}
	total := 0
	for _, part := range parts {
		total += len(part)
	}
	alphabet := alphabetOf(parts...)
	if maxBytes > 0 && maxBytes < total {
		for i, part := range parts {
			parts[i] = part[:len(part)*maxBytes/total]
		}
	}
	text := assemble(alphabet, parts[0], parts[1], parts[2])
	text.Name, text.Split = c.name, asPublished
	text.Note = withCap(c.note, text.Bytes, total)
	return text, nil
}

// find returns the path of a source that exists, plain or compressed.
func (c fileCorpus) find(dataDir string, source Source) (string, error) {
	if dataDir == "" {
		return "", plugins.Problemf("corpus %s needs its files: name the folder that holds %s with --data", c.name, source.Path+".gz")
	}
	compressed := c.expected(dataDir, source)
	for _, path := range []string{compressed, strings.TrimSuffix(compressed, ".gz")} {
		info, err := os.Stat(path)
		switch {
		case err == nil && info.Mode().IsRegular():
			return path, nil
		case err != nil && !errors.Is(err, fs.ErrNotExist):
			return "", plugins.Problemf("corpus %s cannot be read: %s", c.name, err)
		}
	}
	return "", plugins.Problemf("corpus %s is missing: looked for %s and for the same without .gz; put there %s, or name another folder with --data",
		c.name, compressed, c.origin)
}

func (c fileCorpus) expected(dataDir string, source Source) string {
	return filepath.Join(dataDir, filepath.FromSlash(source.Path)) + ".gz"
}

// read returns the verified content of a source.
func (c fileCorpus) read(dataDir string, source Source) ([]byte, error) {
	path, err := c.find(dataDir, source)
	if err != nil {
		return nil, err
	}
	file, err := os.Open(path)
	if err != nil {
		return nil, plugins.Problemf("corpus %s cannot be read: %s", c.name, err)
	}
	defer file.Close()
	content, found, err := readContent(file, strings.HasSuffix(path, ".gz"), source.Bytes)
	if err != nil {
		return nil, plugins.Problemf("corpus %s: %s is damaged (%s); fetch it again", c.name, path, err)
	}
	if found != source.SHA256 {
		return nil, plugins.Problemf("corpus %s: the content of %s has SHA-256 %s but %s was expected; replace it by %s",
			c.name, path, found, source.SHA256, c.origin)
	}
	return content, nil
}

// readContent returns the content of r and its SHA-256. Of content longer than
// size it keeps nothing beyond size+1 bytes in memory, whatever a damaged gzip
// stream unfolds to.
func readContent(r io.Reader, compressed bool, size int64) (content []byte, digest string, err error) {
	if compressed {
		unzipped, err := gzip.NewReader(r)
		if err != nil {
			return nil, "", err
		}
		r = unzipped
	}
	hash := sha256.New()
	var kept bytes.Buffer
	kept.Grow(int(size) + bytes.MinRead)
	if _, err := io.Copy(&kept, io.TeeReader(io.LimitReader(r, size+1), hash)); err != nil {
		return nil, "", err
	}
	if _, err := io.Copy(hash, r); err != nil {
		return nil, "", err
	}
	return kept.Bytes(), hex.EncodeToString(hash.Sum(nil)), nil
}

func everySecond(content []byte) []byte {
	characters := make([]byte, 0, len(content)/2)
	for i := 0; i < len(content); i += 2 {
		characters = append(characters, content[i])
	}
	return characters
}
