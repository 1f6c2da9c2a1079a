package dataset

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"path"
	"slices"
	"strconv"
	"strings"

	"bittern/plugins"
)

// StoryQuestion is a question of a bAbI file.
type StoryQuestion struct {
	Line  int        // of the file, from 1
	Story int        // of the file, from 0
	Facts [][]string // the sentences told so far in the story, as lower-case tokens
	Query []string

	// Answer is one class, in lower case. Where it has several words, such as
	// the "n,w" of qa19, these are kept together as published.
	Answer string

	Support []int // the facts that the answer follows from, as indices into Facts
}

// ParseStories reads a file of bAbI, Weston et al., "Towards AI-Complete Question
// Answering" (2015). A line is a number and a space, and then a sentence that ends
// in a full stop, or a question that ends in a question mark, a tab, the answer, a
// tab, and the numbers of the sentences that support it. The number 1 begins a story
// and the others follow it one by one. Full stops, question marks and commas
// are tokens of their own, except within an answer.
func ParseStories(content []byte, name string) ([]StoryQuestion, error) {
	var questions []StoryQuestion
	var facts [][]string
	factOf := make(map[int]int) // number of a line → index into facts
	last, story, number := 0, -1, 0
	for line := range bytes.Lines(content) {
		number++
		refuse := func(format string, args ...any) error {
			return plugins.Problemf("%s line %d: %s", name, number, fmt.Sprintf(format, args...))
		}
		text := strings.TrimSuffix(string(line), "\n")
		digits, rest, _ := strings.Cut(text, " ")
		id, err := strconv.Atoi(digits)
		switch {
		case err != nil || strconv.Itoa(id) != digits:
			return nil, refuse("it begins with %.20q, but a number and a space are needed", text)
		case id == 1:
			story++
			facts = nil
			clear(factOf)
		case id != last+1 || last == 0:
			return nil, refuse("its number is %d, but after %d comes %d, or 1 for a new story", id, last, last+1)
		}
		last = id
		if i := strings.IndexFunc(rest, func(r rune) bool { return r < ' ' && r != '\t' || r == 0x7f }); i >= 0 {
			return nil, refuse("it holds the control character %q", rest[i])
		}
		fields := strings.Split(rest, "\t")
		switch len(fields) {
		case 1:
			if !strings.HasSuffix(rest, ".") || len(rest) < 2 {
				return nil, refuse("the sentence %.40q does not end in a full stop", rest)
			}
			factOf[id] = len(facts)
			facts = append(facts, storyTokens(rest))
		case 3:
			asked := strings.TrimSuffix(fields[0], " ")
			if !strings.HasSuffix(asked, "?") || len(asked) < 2 {
				return nil, refuse("the question %.40q does not end in a question mark", fields[0])
			}
			q := StoryQuestion{
				Line: number, Story: story, Query: storyTokens(asked), Answer: strings.ToLower(fields[1]),
				Facts: slices.Clip(facts), // later sentences of the story go elsewhere
			}
			if q.Answer == "" || strings.TrimSpace(q.Answer) != q.Answer {
				return nil, refuse("the answer is %q, but it must be words without spaces around", fields[1])
			}
			for support := range strings.SplitSeq(fields[2], " ") {
				n, err := strconv.Atoi(support)
				fact, ok := factOf[n]
				if err != nil || !ok {
					return nil, refuse("the support %q is no number of an earlier sentence of the story", support)
				}
				q.Support = append(q.Support, fact)
			}
			questions = append(questions, q)
		default:
			return nil, refuse("it has %d tabs, but a sentence has none and a question two", len(fields)-1)
		}
	}
	if len(questions) == 0 {
		return nil, plugins.Problemf("%s holds no question; give a file of bAbI", name)
	}
	return questions, nil
}

// storyTokens splits a sentence.
func storyTokens(sentence string) []string {
	return strings.Fields(punctuation.Replace(strings.ToLower(sentence)))
}

var punctuation = strings.NewReplacer(".", " . ", "?", " ? ", ",", " , ")

// babiTasks is the number of tasks of bAbI.
const babiTasks = 20

// babiSet is bAbI with one number of training questions.
type babiSet struct{ Set }

const (
	babiAddress = "https://s3.amazonaws.com/text-datasets/babi_tasks_1-20_v1-2.tar.gz"
	babiPage    = "https://research.facebook.com/downloads/babi/"
	babiByHand  = "the files qa*_{train,test}.txt of the folder %s of bAbI 1.2 (tasks_1-20_v1-2.tar.gz)"
	babiSplit   = "test as published; the last tenth of each task's training stories validates"
	babiLicence = "CC BY 3.0"
)

// The address is Keras's copy, as the authors' own is gone. No checksum of
// the archive is known; each file in it has one.
var (
	babi = babiSet{Set{
		Name: "babi-en", Shape: ShapeReading, Status: Published,
		Summary: "bAbI: 20 reading tasks in English, 1,000 training questions each",
		Sources: babiFiles, Downloads: []Download{{URL: babiAddress, Bytes: 11_745_123, Packing: TarGzip, Inside: "tasks_1-20_v1-2/en/"}},
		Described: babiPage, ByHand: fmt.Sprintf(babiByHand, "en"),
		Split: babiSplit, Licence: babiLicence,
	}}
	babi10k = babiSet{Set{
		Name: "babi-en-10k", Shape: ShapeReading, Status: Published,
		Summary: "bAbI: 19 reading tasks in English, 10,000 training questions each",
		Sources: babi10kFiles, Downloads: []Download{{URL: babiAddress, Bytes: 11_745_123, Packing: TarGzip, Inside: "tasks_1-20_v1-2/en-10k/"}},
		Described: babiPage, ByHand: fmt.Sprintf(babiByHand, "en-10k"),
		Split: babiSplit, Licence: babiLicence,
		Note: "19 of the 20 tasks: no copy of qa3's training file was found whose checksum could be stated",
	}}
)

// babiFilesOf are the sources of a task. ok is false where one is not pinned.
func (s babiSet) filesOf(task int) (train, test Source, ok bool) {
	prefix := fmt.Sprintf("qa%d_", task)
	for _, source := range s.Sources {
		base := path.Base(source.Path)
		switch {
		case !strings.HasPrefix(base, prefix):
		case strings.HasSuffix(base, "_train.txt"):
			train = source
		default:
			test = source
		}
	}
	return train, test, train.Path != "" && test.Path != ""
}

// checkTasks refuses numbers of tasks that the data set does not have.
func (s babiSet) checkTasks(tasks []int) error {
	if len(tasks) == 0 {
		return plugins.Problemf("data set %s: the list of tasks is empty; name some from 1 to %d", s.Name, babiTasks)
	}
	for i, task := range tasks {
		switch _, _, ok := s.filesOf(task); {
		case task < 1 || task > babiTasks:
			return plugins.Problemf("data set %s has no task %d; name some from 1 to %d", s.Name, task, babiTasks)
		case slices.Contains(tasks[:i], task):
			return plugins.Problemf("data set %s: task %d is named twice; name it once", s.Name, task)
		case !ok:
			return plugins.Problemf("data set %s has %s; leave out task %d or use %s", s.Name, s.Note, task, babi.Name)
		}
	}
	return nil
}

// CheckStories refuses numbers of tasks that a data set of bAbI does not have. It looks
// for no file.
func CheckStories(name string, tasks []int) error {
	found, err := lookup(name, ShapeReading)
	if err != nil {
		return err
	}
	set, ok := found.(babiSet)
	if !ok {
		return plugins.Problemf("data set %s has no numbered tasks; name %s or %s", name, babi.Name, babi10k.Name)
	}
	return set.checkTasks(tasks)
}

// load reads the tasks that are asked for. Vocabulary and classes are made of all
// parts of these tasks, in alphabetical order: bAbI is a closed world, whose test
// questions have answers (of qa8, say) that the training part lacks.
func (s babiSet) load(ctx context.Context, request ReadingRequest) (*Reading, error) {
	tasks := request.Tasks
	if tasks == nil {
		for task := 1; task <= babiTasks; task++ {
			if _, _, ok := s.filesOf(task); ok {
				tasks = append(tasks, task)
			}
		}
	}
	if err := s.checkTasks(tasks); err != nil {
		return nil, err
	}
	r := &Reading{Name: s.Name, Split: s.Split, Note: s.Note}
	digest := sha256.New()
	var parsed [][2][]StoryQuestion // of each task train and test
	for _, task := range tasks {
		train, test, _ := s.filesOf(task)
		var both [2][]StoryQuestion
		for part, source := range []Source{train, test} {
			if err := ctx.Err(); err != nil {
				return nil, err
			}
			content, file, err := s.read(request.DataDir, source)
			if err != nil {
				return nil, err
			}
			digest.Write(content)
			if both[part], err = ParseStories(content, file); err != nil {
				return nil, err
			}
		}
		parsed = append(parsed, both)
		r.Tasks = append(r.Tasks, strings.TrimSuffix(path.Base(train.Path), "_train.txt"))
	}
	r.SHA256 = hex.EncodeToString(digest.Sum(nil))

	words, answers := make(map[string]int32), make(map[string]int32)
	for _, both := range parsed {
		for _, q := range slices.Concat(both[0], both[1]) {
			answers[q.Answer] = 0
			for _, sentence := range append(slices.Clone(q.Facts), q.Query) {
				for _, word := range sentence {
					words[word] = 0
				}
			}
		}
	}
	r.Vocabulary, r.Answers = number(words), number(answers)

	for task, both := range parsed {
		stories := both[0][len(both[0])-1].Story + 1
		if stories < 2 {
			return nil, plugins.Problemf("data set %s: %s has one story, which cannot be split; give more", s.Name, r.Tasks[task])
		}
		firstValid := stories - max(1, stories/10)
		for part, questions := range both {
			for _, q := range questions {
				e := Example{Answer: answers[q.Answer], Task: int32(task)}
				for _, fact := range q.Facts {
					e.Document = appendIDs(e.Document, fact, words)
				}
				e.Query = appendIDs(nil, q.Query, words)
				switch {
				case part == 1:
					r.Test = append(r.Test, e)
				case q.Story >= firstValid:
					r.Valid = append(r.Valid, e)
				default:
					r.Train = append(r.Train, e)
				}
			}
		}
	}
	return r, nil
}

// number gives ids to words in alphabetical order.
func number(ids map[string]int32) []string {
	words := make([]string, 0, len(ids))
	for word := range ids {
		words = append(words, word)
	}
	slices.Sort(words)
	for id, word := range words {
		ids[word] = int32(id)
	}
	return words
}

func appendIDs(to []int32, words []string, ids map[string]int32) []int32 {
	for _, word := range words {
		to = append(to, ids[word])
	}
	return to
}
