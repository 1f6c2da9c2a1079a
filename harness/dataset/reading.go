package dataset

import (
	"cmp"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"hash"
	"slices"
	"strconv"
	"strings"

	"bittern/plugins"
)

// Placeholder is the word of a question that the answer replaces.
const Placeholder = "@placeholder"

// maxEntity bounds the number in an entity marker. CNN's greatest is about 550.
const maxEntity = 1 << 16

// Reading is a data set of questions about documents, ready for training.
type Reading struct {
	Name string

	// Vocabulary lists the word behind each token id. Its first Entities words
	// are the markers "@entity0", "@entity1", …; a task may exchange these among
	// each other in one example, so that nothing can be learned of a name.
	Vocabulary []string
	Entities   int

	// Answers are the classes to choose from. Where Entities is not 0, class i is
	// the entity whose token id is i. An answer of several words is one class.
	Answers []string

	// Tasks names what Example.Task counts; a data set of one task has one name.
	Tasks []string

	Train, Valid, Test []Example

	SHA256    string // hex, over the texts of all examples in order
	Synthetic bool   // a program made up the texts
	Split     string
	Note      string
}

// Example is a question about a document.
type Example struct {
	Document, Query []int32 // token ids
	Answer          int32   // index into Reading.Answers

	// Candidates are the classes among which the answer is, ascending; nil means
	// all.
	Candidates []int32

	Task int32 // index into Reading.Tasks
}

// ReadingRequest names what to load.
type ReadingRequest struct {
	Name    string
	DataDir string

	// Tasks are the numbers of bAbI's tasks to load; nil means all there are.
	Tasks []int

	// MaxWords keeps the most frequent words of the training part of a cloze data
	// set, besides the markers; the others are read as [Unknown]. 0 keeps all.
	MaxWords int

	// MaxTrain keeps the first training questions of a cloze data set. 0 keeps all.
	MaxTrain int

	// Seed varies the synthetic data set; each seed has its own.
	Seed uint64
}

// readingEntry is a data set of questions.
type readingEntry interface {
	entry
	load(ctx context.Context, request ReadingRequest) (*Reading, error)
}

// LoadReading reads a data set of questions and checks it against the known checksums and
// counts.
func LoadReading(ctx context.Context, request ReadingRequest) (*Reading, error) {
	if request.MaxWords < 0 || request.MaxTrain < 0 {
		return nil, plugins.Problemf("data set %s: %d words and %d questions are asked for; give positive numbers, or 0 for all", request.Name, request.MaxWords, request.MaxTrain)
	}
	found, err := lookup(request.Name, ShapeReading)
	if err != nil {
		return nil, err
	}
	return found.(readingEntry).load(ctx, request)
}

// Question is a cloze question as published: of a document whose names are
// replaced by entity markers.
type Question struct {
	URL      string
	Document []string
	Query    []string // holds [Placeholder] once
	Answer   int      // the number of an entity in Entities
	Entities []Entity // in the order of the file
}

// Entity is a marker and the name it stands for.
type Entity struct {
	Number int
	Name   string // empty where the source does not tell
}

// entityNumber reads a marker such as "@entity12".
func entityNumber(token string) (number int, ok bool) {
	digits, ok := strings.CutPrefix(token, "@entity")
	if !ok || digits == "" || digits[0] == '0' && digits != "0" || digits[0] == '+' {
		return 0, false
	}
	number, err := strconv.Atoi(digits)
	return number, err == nil && 0 <= number && number < maxEntity
}

// clozeBuilder turns questions into examples. Until all are known, a word has a
// provisional id in the order of first appearance, and entity n the id −1−n.
type clozeBuilder struct {
	ids      map[string]int32
	words    []string
	counts   []int // in training
	entities int
	digest   hash.Hash
	parts    [3][]Example
}

func newClozeBuilder() *clozeBuilder {
	return &clozeBuilder{ids: make(map[string]int32), digest: sha256.New()}
}

// add takes a question into part 0 (train), 1 (valid) or 2 (test).
func (b *clozeBuilder) add(part int, q *Question) {
	encode := func(tokens []string) []int32 {
		ids := make([]int32, len(tokens))
		for i, token := range tokens {
			fmt.Fprintf(b.digest, "%s ", token)
			if number, ok := entityNumber(token); ok {
				ids[i] = int32(-1 - number)
				continue
			}
			id, ok := b.ids[token]
			if !ok {
				id = int32(len(b.words))
				token = strings.Clone(token) // not the whole file with it
				b.ids[token], b.words, b.counts = id, append(b.words, token), append(b.counts, 0)
			}
			if part == 0 {
				b.counts[id]++
			}
			ids[i] = id
		}
		fmt.Fprintln(b.digest)
		return ids
	}
	e := Example{Document: encode(q.Document), Query: encode(q.Query), Answer: int32(q.Answer)}
	for _, entity := range q.Entities {
		e.Candidates = append(e.Candidates, int32(entity.Number))
		b.entities = max(b.entities, entity.Number+1)
	}
	slices.Sort(e.Candidates)
	fmt.Fprintln(b.digest, e.Answer, e.Candidates)
	b.parts[part] = append(b.parts[part], e)
}

// finish numbers the vocabulary: the entities, [Placeholder], [Unknown], and
// then the words of the training part, the most frequent first and equally
// frequent ones in the order of their first appearance.
func (b *clozeBuilder) finish(name string, maxWords int) *Reading {
	order := make([]int, 0, len(b.words))
	for id, word := range b.words {
		if b.counts[id] > 0 && word != Placeholder && word != Unknown {
			order = append(order, id)
		}
	}
	slices.SortStableFunc(order, func(x, y int) int { return cmp.Compare(b.counts[y], b.counts[x]) })
	if maxWords > 0 && maxWords < len(order) {
		order = order[:maxWords]
	}
	r := &Reading{Name: name, Entities: b.entities, Tasks: []string{name}}
	for n := range b.entities {
		r.Vocabulary = append(r.Vocabulary, "@entity"+strconv.Itoa(n))
	}
	r.Answers = slices.Clone(r.Vocabulary)
	final := make([]int32, len(b.words))
	for i := range final {
		final[i] = int32(b.entities + 1) // Unknown
	}
	if id, ok := b.ids[Placeholder]; ok {
		final[id] = int32(b.entities)
	}
	r.Vocabulary = append(r.Vocabulary, Placeholder, Unknown)
	for _, id := range order {
		final[id] = int32(len(r.Vocabulary))
		r.Vocabulary = append(r.Vocabulary, b.words[id])
	}
	for _, part := range b.parts {
		for _, example := range part {
			for _, tokens := range [][]int32{example.Document, example.Query} {
				for i, id := range tokens {
					if id < 0 {
						tokens[i] = -1 - id
					} else {
						tokens[i] = final[id]
					}
				}
			}
		}
	}
	r.Train, r.Valid, r.Test = b.parts[0], b.parts[1], b.parts[2]
	r.SHA256 = hex.EncodeToString(b.digest.Sum(nil))
	return r
}
