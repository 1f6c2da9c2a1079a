package task

import (
	"cmp"
	"context"
	"encoding/binary"
	"fmt"
	"math/rand/v2"
	"slices"
	"strconv"
	"strings"

	"bittern/harness/dataset"
	"bittern/harness/metric"
	"bittern/plugins"
	"bittern/plugins/network"
)

// Reading answers a question about a document, which [NewCloze] and [NewStories] make.
//
// Its inputs are the document and the question, each with the lengths of the batch's
// sequences, and the candidates among the classes where not all of them are. There is
// one target a sequence. A document that is longer than the documents' stream is cut.
//
// A batch has examples of similar length, so that a model can stop after its longest
// example. In training, an epoch draws its examples in random order, as many as fill whole
// batches. Within every twenty batches, examples are sorted by the length of the document
// and then of the question, and then the batches come in random order. In evaluation the
// examples of each group are sorted by length, and a batch has examples of one group. A
// group's last, partial batch is filled up with the first training examples of the group,
// and with those of others if there are not enough.
type Reading struct {
	data     *dataset.Reading
	shape    network.Shape
	metric   metric.Metric
	entities int      // ids to draw from for the entities of an example; 0 where there are none
	last     bool     // a document is cut to its last tokens, not its first
	groups   []string // of [dataset.Example.Task]; nil where the score has no parts
	steps    map[string]int
	order    map[Part][]int // the examples that come after one another, by number
	filling  [][]int        // for each group, training examples for a whole batch
}

// The names of the inputs. Those of tokens are also those of their streams.
const (
	documentName   = "document"
	questionName   = "question"
	lengthsSuffix  = "-lengths"
	candidatesName = "candidates"
)

// sorted is the number of training batches that are ordered by length together, as in
// the code of Mesnard et al. for Hermann et al. (2015).
const sorted = 20

var _ Task = (*Reading)(nil)

// NewCloze makes the task of Hermann et al., "Teaching Machines to Read and Comprehend"
// (2015): which entity of the document does the question leave out? It is scored by the
// error rate.
//
// A document is cut to its first length tokens. The candidates are the entities of the
// whole document, so the answer is one of them even where it is cut off: no question is
// left out.
//
// Each entity is a class, and has the token of the same number; the tokens of words follow.
// In each example the entities of the data set are exchanged at random, so that nothing can
// be learned from a name. In training the exchange depends on seed, epoch and example, in
// evaluation on the example alone.
func NewCloze(data *dataset.Reading, batch, length, entities int) (*Reading, error) {
	if data.Entities == 0 {
		return nil, plugins.Problemf("data set %s has no entities to choose from; name one that has, such as cnn-qa-standin", data.Name)
	}
	if data.Entities > entities {
		return nil, plugins.Problemf("data set %s has entities up to @entity%d, but %d are allowed for; give entities: %d or more", data.Name, data.Entities-1, entities, data.Entities)
	}
	t := &Reading{data: data, metric: metric.ErrorRate, entities: entities}
	return t, t.prepare(batch, length, entities)
}

// NewStories makes the task of Weston et al., "Towards AI-Complete Question Answering"
// (2015): what is the answer, of all that occur in the data set? It is scored by the
// accuracy, in the mean over bAbI's tasks, which are its groups.
//
// A document is cut to its last length tokens, for a question is mostly about what was
// told last.
func NewStories(data *dataset.Reading, batch, length int) (*Reading, error) {
	if data.Entities > 0 {
		return nil, plugins.Problemf("data set %s has entities to choose from; give it to the task cnn-qa", data.Name)
	}
	t := &Reading{data: data, metric: metric.Accuracy, last: true}
	for _, name := range data.Tasks {
		short, _, _ := strings.Cut(name, "_") // "qa1" of "qa1_single-supporting-fact"
		t.groups = append(t.groups, short)
	}
	return t, t.prepare(batch, length, len(data.Answers))
}

// prepare checks the examples and lays out the batches.
func (t *Reading) prepare(batch, length, classes int) error {
	data := t.data
	if batch < 1 || length < 1 {
		return plugins.Problemf("data set %s: a batch needs at least 1 document of at least 1 token, not %d × %d", data.Name, batch, length)
	}
	if n := len(data.Train); n < batch {
		return plugins.Problemf("data set %s: the train part of %d questions is less than one batch of %d; use a smaller batch or more of the data", data.Name, n, batch)
	}
	longest, question, chosen := 0, 0, false
	for _, part := range []Part{Train, Valid, Test} {
		if len(t.part(part)) == 0 {
			return plugins.Problemf("data set %s: the %s part has no questions; use more of the data", data.Name, part)
		}
		for i, e := range t.part(part) {
			if err := t.check(e); err != nil {
				return fmt.Errorf("data set %s: question %d of the %s part %w", data.Name, i, part, err)
			}
			longest, question = max(longest, len(e.Document)), max(question, len(e.Query))
			chosen = chosen || e.Candidates != nil
		}
	}
	tokens := len(data.Vocabulary) - data.Entities + t.entities
	t.shape = network.Shape{
		Inputs: []network.Input{
			{Name: documentName, Role: network.Tokens, Stream: documentName, Size: tokens},
			{Name: documentName + lengthsSuffix, Role: network.Lengths, Stream: documentName, Size: 1},
			{Name: questionName, Role: network.Tokens, Stream: questionName, Size: tokens},
			{Name: questionName + lengthsSuffix, Role: network.Lengths, Stream: questionName, Size: 1},
		},
		Steps:     map[string]int{documentName: min(length, longest), questionName: question},
		Sequences: batch, Classes: classes,
	}
	if chosen {
		t.shape.Inputs = append(t.shape.Inputs, network.Input{Name: candidatesName, Role: network.Candidates, Size: classes})
	}
	t.order = make(map[Part][]int)
	for _, part := range []Part{Train, Valid, Test} {
		examples, order := t.part(part), inOrder(len(t.part(part)))
		slices.SortStableFunc(order, func(x, y int) int {
			return cmp.Or(cmp.Compare(examples[x].Task, examples[y].Task), t.compare(examples[x], examples[y]))
		})
		t.order[part] = order
	}
	for group := range data.Tasks {
		filling := inOrder(len(data.Train))
		other := func(i int) int { return min(1, max(group-int(data.Train[i].Task), int(data.Train[i].Task)-group)) }
		slices.SortStableFunc(filling, func(x, y int) int { return cmp.Compare(other(x), other(y)) })
		t.filling = append(t.filling, slices.Clone(filling[:batch]))
	}
	var documents, questions int
	for _, e := range data.Test {
		documents, questions = documents+t.documentLength(e), questions+len(e.Query)
	}
	rounded := func(sum int) int { return (sum + len(data.Test)/2) / len(data.Test) }
	t.steps = map[string]int{documentName: rounded(documents), questionName: rounded(questions)}
	return nil
}

// check refuses an example that no batch can show.
func (t *Reading) check(e dataset.Example) error {
	switch {
	case len(e.Document) == 0:
		return fmt.Errorf("has an empty document")
	case len(e.Query) == 0:
		return fmt.Errorf("is empty")
	case e.Answer < 0 || int(e.Answer) >= len(t.data.Answers):
		return fmt.Errorf("has answer %d of %d", e.Answer, len(t.data.Answers))
	case e.Candidates != nil && !slices.Contains(e.Candidates, e.Answer):
		return fmt.Errorf("has answer %d, which is no candidate", e.Answer)
	case e.Task < 0 || int(e.Task) >= len(t.data.Tasks):
		return fmt.Errorf("is of task %d of %d", e.Task, len(t.data.Tasks))
	}
	for _, class := range e.Candidates {
		if class < 0 || int(class) >= len(t.data.Answers) {
			return fmt.Errorf("has candidate %d of %d", class, len(t.data.Answers))
		}
	}
	for _, id := range slices.Concat(e.Document, e.Query) {
		if id < 0 || int(id) >= len(t.data.Vocabulary) {
			return fmt.Errorf("has a word with the id %d, but the vocabulary has %d words", id, len(t.data.Vocabulary))
		}
	}
	return nil
}

// compare orders examples by their length.
func (t *Reading) compare(a, b dataset.Example) int {
	return cmp.Or(cmp.Compare(t.documentLength(a), t.documentLength(b)), cmp.Compare(len(a.Query), len(b.Query)))
}

func (t *Reading) documentLength(e dataset.Example) int {
	return min(len(e.Document), t.shape.Steps[documentName])
}

// Shape implements [Task].
func (t *Reading) Shape() network.Shape { return t.shape }

// Metric implements [Task].
func (t *Reading) Metric() metric.Metric { return t.metric }

// Steps implements [Task].
func (t *Reading) Steps() map[string]int { return t.steps }

// Training implements [Task].
func (t *Reading) Training(seed uint64, epoch int) Batches {
	n, examples := t.shape.Sequences, t.data.Train
	random := rand.New(rand.NewChaCha8(epochKey(seed, epoch)))
	order := random.Perm(len(examples))[:len(examples)/n*n]
	for pool := range slices.Chunk(order, sorted*n) {
		slices.SortStableFunc(pool, func(x, y int) int { return t.compare(examples[x], examples[y]) })
	}
	b := &readingBatches{task: t, examples: examples, names: entityKey("train", seed, uint64(epoch))}
	b.numbers = slices.Collect(slices.Chunk(order, n))
	random.Shuffle(len(b.numbers), func(i, j int) { b.numbers[i], b.numbers[j] = b.numbers[j], b.numbers[i] })
	return b
}

// Evaluation implements [Task].
func (t *Reading) Evaluation(part Part) Batches {
	b := &readingBatches{task: t, examples: t.part(part), names: entityKey(part, 0, 0), grouped: t.groups != nil}
	for order := t.order[part]; len(order) > 0; {
		group := b.examples[order[0]].Task
		end := slices.IndexFunc(order, func(i int) bool { return b.examples[i].Task != group })
		if end < 0 {
			end = len(order)
		}
		for numbers := range slices.Chunk(order[:end], t.shape.Sequences) {
			b.numbers = append(b.numbers, numbers)
		}
		order = order[end:]
	}
	return b
}

func (t *Reading) part(part Part) []dataset.Example {
	switch part {
	case Train:
		return t.data.Train
	case Valid:
		return t.data.Valid
	case Test:
		return t.data.Test
	}
	panic("task: unknown part " + string(part))
}

// entityKey keys the names that the entities of examples get, but for the example's
// number, which [Reading.names] adds.
func entityKey(what Part, seed, epoch uint64) (key [32]byte) {
	copy(key[:8], "e "+what) // apart from every other use of the seed
	binary.LittleEndian.PutUint64(key[8:], seed)
	binary.LittleEndian.PutUint64(key[16:], epoch)
	return key
}

// names gives each entity of the data set the token and class that it has in an
// example.
func (t *Reading) names(key [32]byte, example int) []int {
	if t.entities == 0 {
		return nil
	}
	binary.LittleEndian.PutUint64(key[24:], uint64(example))
	return rand.New(rand.NewChaCha8(key)).Perm(t.entities)
}

// readingBatches shows examples.
type readingBatches struct {
	task     *Reading
	examples []dataset.Example
	numbers  [][]int // of the examples of each batch
	names    [32]byte
	grouped  bool
}

// Len implements [Batches].
func (b *readingBatches) Len() int { return len(b.numbers) }

// Group implements [Batches].
func (b *readingBatches) Group(i int) string {
	if !b.grouped {
		return ""
	}
	return b.task.groups[b.examples[b.numbers[i][0]].Task]
}

// Fill implements [Batches].
func (b *readingBatches) Fill(i int, batch network.Batch) error {
	if err := Ready(i, b.Len(), b.task.shape, batch); err != nil {
		return err
	}
	numbers := b.numbers[i]
	for column := range batch.Sequences {
		if column < len(numbers) {
			e, names := b.examples[numbers[column]], b.task.names(b.names, numbers[column])
			b.task.show(batch, column, e, names)
			batch.Targets[column] = e.Answer
			if names != nil {
				batch.Targets[column] = int32(names[e.Answer])
			}
			continue
		}
		filling := b.task.filling[b.examples[numbers[0]].Task][column-len(numbers)]
		b.task.show(batch, column, b.task.data.Train[filling], b.task.names(entityKey("fill", 0, 0), filling))
		batch.Targets[column] = -1
	}
	return nil
}

// show writes an example into a column of a batch, but for its target.
func (t *Reading) show(batch network.Batch, column int, e dataset.Example, names []int) {
	document := e.Document
	if n := t.documentLength(e); t.last {
		document = document[len(document)-n:]
	} else {
		document = document[:n]
	}
	for name, tokens := range map[string][]int32{documentName: document, questionName: e.Query} {
		into := batch.Int32[name]
		batch.Int32[name+lengthsSuffix][column] = int32(len(tokens))
		for step := range t.shape.Steps[name] {
			token := int32(0) // filling, at which nothing looks
			if step < len(tokens) {
				token = t.token(tokens[step], names)
			}
			into[step*batch.Sequences+column] = token
		}
	}
	marks := batch.Int32[candidatesName]
	if marks == nil {
		return
	}
	marks = marks[column*t.shape.Classes:][:t.shape.Classes]
	for class := range marks {
		marks[class] = 0
		if e.Candidates == nil {
			marks[class] = 1
		}
	}
	for _, class := range e.Candidates {
		if names != nil {
			class = int32(names[class])
		}
		marks[class] = 1
	}
}

// token is what a batch shows for a token of the data set.
func (t *Reading) token(id int32, names []int) int32 {
	if int(id) < t.data.Entities {
		return int32(names[id])
	}
	return id - int32(t.data.Entities) + int32(t.entities)
}

// summary says how much a task reads.
func (t *Reading) summary() string {
	longer := 0
	for _, part := range []Part{Train, Valid, Test} {
		for _, e := range t.part(part) {
			if len(e.Document) > t.shape.Steps[documentName] {
				longer++
			}
		}
	}
	text := fmt.Sprintf("%d + %d + %d questions, %d tokens, %d classes", len(t.data.Train), len(t.data.Valid), len(t.data.Test), t.shape.Inputs[0].Size, t.shape.Classes)
	if longer > 0 {
		end := "first"
		if t.last {
			end = "last"
		}
		text += fmt.Sprintf("; %d documents cut to their %s %d tokens", longer, end, t.shape.Steps[documentName])
	}
	return text
}

// readingData says what a reading task was made of.
func readingData(t *Reading) Data {
	d := t.data
	return Data{Name: d.Name, SHA256: d.SHA256, Synthetic: d.Synthetic, Split: d.Split, Note: d.Note, Summary: t.summary()}
}

// questionFolders are the options that name folders of a user's own questions.
var questionFolders = []string{"train_questions", "valid_questions", "test_questions"}

// cloze is the task over documents with entities.
func cloze() Definition {
	return Definition{
		Name: "cnn-qa", Summary: "which entity of a document a question leaves out; error rate", Unit: "questions", Shape: dataset.ShapeReading, Data: "cnn-qa",
		Options: []plugins.Option{
			whole(optionBatch, 128, 1, maxBatch, "questions in a batch"),
			whole(optionLength, 800, 1, maxLength, "tokens that are read of a document, from its beginning"),
			whole("entities", 550, 2, maxBatch, "tokens for entities, which are the classes"),
			whole("vocabulary", 0, 0, maxLength, "most frequent words of the training part to keep beside the entities; 0 is all"),
			whole("questions", 0, 0, maxBytes, "use only the first training questions; 0 is all"),
			text(questionFolders[0], "", "a folder of .question files of your own to train on, from the working directory, in place of data"),
			text(questionFolders[1], "", "a folder of those that validate"),
			text(questionFolders[2], "", "a folder of those that test"),
		},
		Files: questionFolders,
		Load: func(ctx context.Context, l *Loader, data string, o plugins.Values) (Task, Data, error) {
			words, questions := o.Int("vocabulary"), o.Int("questions")
			folders := [3]string{o.Text(questionFolders[0]), o.Text(questionFolders[1]), o.Text(questionFolders[2])}
			key := append(folders[:], data, o.Text("vocabulary"), o.Text("questions"))
			loaded, err := remember(&l.readings, key, func() (*dataset.Reading, error) {
				if data == "" {
					return dataset.LoadQuestionFolders(ctx, folders, questions, words)
				}
				return dataset.LoadReading(ctx, dataset.ReadingRequest{Name: data, DataDir: l.DataDir, MaxWords: words, MaxTrain: questions})
			})
			if err != nil {
				return nil, Data{}, err
			}
			t, err := NewCloze(loaded, o.Int(optionBatch), o.Int(optionLength), o.Int("entities"))
			if err != nil {
				return nil, Data{}, err
			}
			return t, readingData(t), nil
		},
	}
}

// everyTask is the value of the option tasks that names none.
const everyTask = "all"

// stories is the task over bAbI.
func stories() Definition {
	return Definition{
		Name: "babi", Summary: "answer questions about short stories, 20 kinds of them; mean of the kinds' accuracies", Unit: "questions", Shape: dataset.ShapeReading, Data: "babi-en",
		Options: []plugins.Option{
			whole(optionBatch, 32, 1, maxBatch, "questions in a batch"),
			whole(optionLength, 400, 1, maxLength, "tokens that are read of a story, the last ones"),
			text("tasks", everyTask, "bAbI's tasks that one network learns, such as [1, 2, 16]; all of the data set's"),
		},
		Check: func(data string, o plugins.Values) error {
			tasks, err := babiTasks(o.Text("tasks"))
			if err != nil || tasks == nil {
				return err
			}
			return dataset.CheckStories(data, tasks)
		},
		Load: func(ctx context.Context, l *Loader, data string, o plugins.Values) (Task, Data, error) {
			tasks, err := babiTasks(o.Text("tasks"))
			if err != nil {
				return nil, Data{}, err
			}
			loaded, err := remember(&l.readings, []string{data, o.Text("tasks")}, func() (*dataset.Reading, error) {
				return dataset.LoadReading(ctx, dataset.ReadingRequest{Name: data, DataDir: l.DataDir, Tasks: tasks})
			})
			if err != nil {
				return nil, Data{}, err
			}
			t, err := NewStories(loaded, o.Int(optionBatch), o.Int(optionLength))
			if err != nil {
				return nil, Data{}, err
			}
			return t, readingData(t), nil
		},
	}
}

// babiTasks reads the option tasks; nil is all.
func babiTasks(list string) ([]int, error) {
	if list == everyTask {
		return nil, nil
	}
	var tasks []int
	for field := range strings.SplitSeq(list, ",") {
		task, err := strconv.Atoi(strings.TrimSpace(field))
		if err != nil {
			return nil, plugins.Problemf("tasks must be %s or numbers such as [1, 2, 16], not %q", everyTask, list)
		}
		tasks = append(tasks, task)
	}
	return tasks, nil
}
