package dataset

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"bittern/plugins"
)

// maxQuestionFile bounds a question file, in bytes. CNN's longest document has
// about 2,000 words.
const maxQuestionFile = 1 << 20

// ParseQuestion reads a question file of Hermann et al., "Teaching Machines to
// Read and Comprehend" (2015):
//
//	URL
//
//	document
//
//	question, with @placeholder once
//
//	@entityN, the answer
//
//	@entity0:name
//	@entity1:name
//	…
//
// Each is one line; words are separated by single spaces. The list names each entity
// of the document, of the question and the answer once. A token that merely begins
// like a marker ("@entity5s") is a word. What departs from that is refused with
// a [*plugins.Problem] that names the file and the line.
func ParseQuestion(content []byte, name string) (*Question, error) {
	refuse := func(line int, format string, args ...any) error {
		return plugins.Problemf("%s line %d: %s", name, line, fmt.Sprintf(format, args...))
	}
	if len(content) > maxQuestionFile {
		return nil, plugins.Problemf("%s holds more than %d bytes, too many for one question; give a .question file", name, maxQuestionFile)
	}
	lines := strings.Split(strings.TrimSuffix(string(content), "\n"), "\n")
	if len(lines) < 9 {
		return nil, refuse(len(lines), "the file ends, but a question has at least 9 lines: URL, document, question and answer with an empty line after each, and the list of entities")
	}
	for _, i := range []int{1, 3, 5, 7} {
		if lines[i] != "" {
			return nil, refuse(i+1, "the line holds %.40q, but an empty one separates the sections", lines[i])
		}
	}
	for i, what := range map[int]string{0: "URL", 2: "document", 4: "question", 6: "answer"} {
		if lines[i] == "" {
			return nil, refuse(i+1, "the %s is missing", what)
		}
	}
	q := &Question{URL: lines[0]}
	listed := make(map[int]bool)
	for i, line := range lines[8:] {
		marker, entity, ok := strings.Cut(line, ":")
		number, isMarker := entityNumber(marker)
		switch {
		case !ok || !isMarker || entity == "":
			return nil, refuse(9+i, "%.40q is no entity; write @entityN:name with N below %d", line, maxEntity)
		case listed[number]:
			return nil, refuse(9+i, "@entity%d is listed twice", number)
		}
		listed[number] = true
		q.Entities = append(q.Entities, Entity{number, entity})
	}
	answer, ok := entityNumber(lines[6])
	switch {
	case !ok:
		return nil, refuse(7, "the answer is %.40q, but it must be an entity such as @entity3", lines[6])
	case !listed[answer]:
		return nil, refuse(7, "the answer @entity%d is not in the list of entities", answer)
	}
	q.Answer = answer
	for _, section := range []struct {
		line int
		into *[]string
	}{{2, &q.Document}, {4, &q.Query}} {
		for token := range strings.SplitSeq(lines[section.line], " ") {
			if token == "" {
				return nil, refuse(section.line+1, "there is a space too many; separate words by single spaces")
			}
			if number, ok := entityNumber(token); ok && !listed[number] {
				return nil, refuse(section.line+1, "%s is not in the list of entities", token)
			}
			*section.into = append(*section.into, token)
		}
	}
	holes := 0
	for _, token := range q.Query {
		if token == Placeholder {
			holes++
		}
	}
	if holes != 1 {
		return nil, refuse(5, "the question holds %s %d times, but it must once", Placeholder, holes)
	}
	return q, nil
}

// cnnSet is the question answering of CNN's articles, whose files its publisher
// does not list with checksums.
type cnnSet struct{ Set }

// cnnFolder holds the folders of the parts, as the published archive unpacks.
const cnnFolder = "cnn/questions"

// questionParts are the folders of train, valid and test.
var questionParts = [3]string{"training", "validation", "test"}

var cnn = cnnSet{Set{
	Name: "cnn-qa", Shape: ShapeReading, Status: Published,
	Summary:   "cloze questions about CNN's articles, names replaced by markers",
	Described: "https://github.com/google-deepmind/rc-data",
	ByHand:    "the folders training, validation and test of .question files that cnn.tgz unpacks to",
	Parts:     []int{380_298, 3_924, 3_198}, Split: asPublished,
	Licence: "scripts Apache-2.0; the articles are CNN's",
	Note:    "checked by the number of questions: no checksums are published",
}}

func (c cnnSet) locate(_ context.Context, dataDir string) (where []string, missing error) {
	if dataDir == "" {
		return nil, plugins.Problemf("data set %s needs its files: name the folder that holds %s with --data", c.Name, cnnFolder)
	}
	for _, part := range questionParts {
		folder := filepath.Join(dataDir, filepath.FromSlash(cnnFolder), part)
		where = append(where, folder)
		if info, err := os.Stat(folder); missing == nil && (err != nil || !info.IsDir()) {
			missing = plugins.Problemf("data set %s is missing: looked for the folder %s; put there %s, or name another folder with --data", c.Name, folder, c.ByHand)
		}
	}
	return where, missing
}

func (c cnnSet) load(ctx context.Context, request ReadingRequest) (*Reading, error) {
	folders, missing := c.locate(ctx, request.DataDir)
	if missing != nil {
		return nil, missing
	}
	for i, folder := range folders {
		files, err := questionFiles(folder)
		if err != nil {
			return nil, err
		}
		if len(files) != c.Parts[i] {
			return nil, plugins.Problemf("data set %s: %s holds %d questions, but %d were published; unpack the archive again", c.Name, folder, len(files), c.Parts[i])
		}
	}
	r, err := LoadQuestionFolders(ctx, [3]string(folders), request.MaxTrain, request.MaxWords)
	if err != nil {
		return nil, err
	}
	r.Name, r.Tasks, r.Split, r.Note = c.Name, []string{c.Name}, c.Split, c.Note
	if n := len(r.Train); n < c.Parts[0] {
		r.Note = fmt.Sprintf("%s; the first %d of %d training questions", r.Note, n, c.Parts[0])
	}
	return r, nil
}

// LoadQuestionFolders reads the .question files of train, valid and test in the
// order of their names. maxTrain and maxWords are those of [ReadingRequest].
func LoadQuestionFolders(ctx context.Context, folders [3]string, maxTrain, maxWords int) (*Reading, error) {
	b := newClozeBuilder()
	for part, folder := range folders {
		files, err := questionFiles(folder)
		if err != nil {
			return nil, err
		}
		if len(files) == 0 {
			return nil, plugins.Problemf("%s holds no .question file; name a folder that does", folder)
		}
		if part == 0 && maxTrain > 0 && maxTrain < len(files) {
			files = files[:maxTrain]
		}
		for _, path := range files {
			if err := ctx.Err(); err != nil {
				return nil, err
			}
			content, err := readBounded(path, maxQuestionFile)
			if err != nil {
				return nil, err
			}
			q, err := ParseQuestion(content, path)
			if err != nil {
				return nil, err
			}
			b.add(part, q)
		}
	}
	r := b.finish("questions:"+filepath.Base(filepath.Dir(folders[0])), maxWords)
	r.Split = "by folder"
	return r, nil
}

// questionFiles lists the files of a folder, which must be .question files; hidden
// ones are passed over.
func questionFiles(folder string) ([]string, error) {
	entries, err := os.ReadDir(folder)
	if err != nil {
		return nil, plugins.Problemf("the folder %s cannot be read (%s); name one that can be read", folder, reason(err))
	}
	var files []string
	for _, entry := range entries {
		path := filepath.Join(folder, entry.Name())
		switch {
		case strings.HasPrefix(entry.Name(), "."):
		case entry.Type()&fs.ModeType&^fs.ModeSymlink != 0 || filepath.Ext(path) != ".question":
			return nil, plugins.Problemf("%s is no .question file; move it elsewhere", path)
		default:
			files = append(files, path)
		}
	}
	return files, nil
}

// readBounded returns the content of a file, at most one byte more than limit.
func readBounded(path string, limit int64) ([]byte, error) {
	file, err := os.Open(path)
	if err != nil {
		return nil, plugins.Problemf("%s cannot be read (%s); name a file that can be read", path, reason(err))
	}
	defer file.Close()
	content, err := io.ReadAll(io.LimitReader(file, limit+1))
	if err != nil {
		return nil, plugins.Problemf("%s cannot be read (%s); name a file that can be read", path, reason(err))
	}
	return content, nil
}

// exampleSet is the five questions of CNN that are at hand, as JSON.
type exampleSet struct{ Set }

var cnnExamples = exampleSet{Set{
	Name: "cnn-qa-examples", Shape: ShapeReading, Status: Prefix,
	Summary:   "five training questions of cnn-qa, to try the reader",
	Sources:   []Source{{Path: "cnn_qa/cnn_snippet.jtr.json", Bytes: 23_064, SHA256: "efd67a01e20195defce46141f33ada73e8f506cd5c8f2343a4f9dea01c58e8f2"}},
	Described: "https://github.com/uclnlp/jack", ByHand: "data/rc-data/cnn_snippet.jtr.json of uclnlp/jack",
	Parts: []int{3, 1, 1}, Split: "the first three train, one validates, one tests",
	Licence: "repository MIT; the articles are CNN's",
	Note:    "prefix: 5 of 380,298 training questions, which train and test nothing",
}}

func (e exampleSet) load(_ context.Context, request ReadingRequest) (*Reading, error) {
	content, path, err := e.read(request.DataDir, e.Sources[0])
	if err != nil {
		return nil, err
	}
	questions, err := ParseJackQuestions(content, path)
	if err != nil {
		return nil, err
	}
	if len(questions) != 5 {
		return nil, plugins.Problemf("%s holds %d questions, but 5 are expected; fetch it again", path, len(questions))
	}
	b := newClozeBuilder()
	for i, q := range questions {
		part := max(0, i-2)
		if part > 0 || request.MaxTrain == 0 || i < request.MaxTrain {
			b.add(part, q)
		}
	}
	r := b.finish(e.Name, request.MaxWords)
	r.Split, r.Note = e.Split, e.Note
	return r, nil
}

// ParseJackQuestions reads cloze questions from the JSON of the Jack reader
// (uclnlp/jack). It has no list of entities, so those of a question are the ones that
// its document, question and answer mention, without names.
func ParseJackQuestions(content []byte, name string) ([]*Question, error) {
	var file struct {
		Meta      string `json:"meta"`
		Instances []struct {
			Questions []struct {
				ID       string `json:"id"`
				Question string `json:"question"`
				Answers  []struct {
					Text string `json:"text"`
				} `json:"answers"`
			} `json:"questions"`
			Support *struct {
				ID   string `json:"id"`
				Text string `json:"text"`
			} `json:"support"`
		} `json:"instances"`
	}
	decoder := json.NewDecoder(bytes.NewReader(content))
	decoder.DisallowUnknownFields()
	if err := decoder.Decode(&file); err != nil {
		return nil, plugins.Problemf("%s, byte %d: the questions cannot be read (%s); give a file of Jack's JSON", name, decoder.InputOffset(), err)
	}
	if _, err := decoder.Token(); !errors.Is(err, io.EOF) {
		return nil, plugins.Problemf("%s, byte %d: there is more after the questions; give a file of Jack's JSON", name, decoder.InputOffset())
	}
	var questions []*Question
	for i, instance := range file.Instances {
		if instance.Support == nil {
			return nil, plugins.Problemf("%s: instance %d has no document, which is called support; give a file of Jack's JSON", name, i)
		}
		for _, asked := range instance.Questions {
			if len(asked.Answers) != 1 {
				return nil, plugins.Problemf("%s: question %s has %d answers, but needs one", name, asked.ID, len(asked.Answers))
			}
			// Written in the published format, it is held to all rules of that.
			text := instance.Support.Text
			var mentioned []int
			for token := range strings.FieldsSeq(text + " " + asked.Question + " " + asked.Answers[0].Text) {
				if number, ok := entityNumber(token); ok {
					mentioned = append(mentioned, number)
				}
			}
			slices.Sort(mentioned)
			var list strings.Builder
			for _, number := range slices.Compact(mentioned) {
				fmt.Fprintf(&list, "@entity%d:?\n", number)
			}
			published := fmt.Sprintf("%s\n\n%s\n\n%s\n\n%s\n\n%s", instance.Support.ID, text, asked.Question, asked.Answers[0].Text, list.String())
			q, err := ParseQuestion([]byte(published), fmt.Sprintf("%s, question %s,", name, asked.ID))
			if err != nil {
				return nil, err
			}
			for i := range q.Entities {
				q.Entities[i].Name = ""
			}
			questions = append(questions, q)
		}
	}
	return questions, nil
}
