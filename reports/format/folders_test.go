package format_test

import (
	"encoding/binary"
	"encoding/json"
	"fmt"
	"hash/crc32"
	"io/fs"
	"math"
	"os"
	"os/exec"
	"path"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/santhosh-tekuri/jsonschema/v6"
	"google.golang.org/protobuf/encoding/protowire"

	"bittern/harness/provenance"
	"bittern/harness/store"
	"bittern/reports"
	"bittern/reports/format"
	"bittern/reports/internal/sample"
)

// filled is a folder with a report in a format of several files, and their contents.
func filled(t *testing.T, r *reports.Report, name string) (dir string, files map[string]string) {
	t.Helper()
	f, err := format.Find(name)
	if err != nil {
		t.Fatal(err)
	}
	dir = t.TempDir()
	root, err := os.OpenRoot(dir)
	if err != nil {
		t.Fatal(err)
	}
	defer root.Close()
	if err := f.Folder(root, r); err != nil {
		t.Fatal(err)
	}
	files = make(map[string]string)
	if err := fs.WalkDir(root.FS(), ".", func(name string, entry fs.DirEntry, err error) error {
		if err != nil || entry.IsDir() {
			return err
		}
		content, err := root.ReadFile(name)
		files[name] = string(content)
		return err
	}); err != nil {
		t.Fatal(err)
	}
	return dir, files
}

// schemaIn compiles a JSON Schema.
func schemaIn(t *testing.T, path string) *jsonschema.Schema {
	t.Helper()
	schema, err := jsonschema.NewCompiler().Compile(path)
	if err != nil {
		t.Fatal(err)
	}
	return schema
}

// everyEvalEver is the schema of Every Eval Ever 0.3.0, which lies beside the project for
// its developers (eval.schema.json of evaleval/every_eval_ever).
const everyEvalEver = "../../../shared/data/schemas/every_eval_ever-0.3.0.schema.json"

// everyEvalSchema is nil where the schema is not at hand.
func everyEvalSchema(t *testing.T) *jsonschema.Schema {
	t.Helper()
	if _, err := os.Stat(everyEvalEver); err != nil {
		return nil
	}
	return schemaIn(t, everyEvalEver)
}

func validate(t *testing.T, schema *jsonschema.Schema, text string) {
	t.Helper()
	value, err := jsonschema.UnmarshalJSON(strings.NewReader(text))
	if err != nil {
		t.Fatal(err)
	}
	if err := schema.Validate(value); err != nil {
		t.Errorf("%v in:\n%s", err, text)
	}
}

func TestEveryEvalEverAcceptsItsFormat(t *testing.T) {
	t.Parallel()
	r := golden(t)
	for i, metric := range []string{"BPC", "perplexity", "accuracy %", "error rate %"} {
		r.Experiments[i].Metric = metric
	}
	dir, files := filled(t, r, "every-eval-ever")
	if len(files) != len(r.Experiments) {
		t.Errorf("%d files, want one for each of %d experiments", len(files), len(r.Experiments))
	}
	// What the validator of Every Eval Ever 0.3.0 wants of a path.
	wanted := regexp.MustCompile(`^data/golden/bittern/[^/]+/[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}\.json$`)
	seen := make(map[string]bool)
	for name, text := range files {
		var record struct {
			ID    string `json:"evaluation_id"`
			Model struct {
				ID string `json:"id"`
			} `json:"model_info"`
		}
		if err := json.Unmarshal([]byte(text), &record); err != nil {
			t.Fatal(err)
		}
		if !wanted.MatchString(name) || path.Base(path.Dir(name)) != strings.TrimPrefix(record.Model.ID, "bittern/") || seen[record.ID] {
			t.Errorf("%s is the path of the record %q of the network %q", name, record.ID, record.Model.ID)
		}
		seen[record.ID] = true
	}
	t.Run("its schema", func(t *testing.T) {
		schema := everyEvalSchema(t)
		if schema == nil {
			t.Skipf("%s is not there", everyEvalEver)
		}
		for _, text := range files {
			validate(t, schema, text)
		}
	})
	t.Run("its own validator", func(t *testing.T) {
		if err := exec.Command("python3", "-c", "import every_eval_ever").Run(); err != nil {
			t.Skip("Python's every_eval_ever is not installed")
		}
		for name := range files {
			command := exec.Command("python3", "-c", "import sys, every_eval_ever.eval_types as t; t.EvaluationLog.model_validate_json(open(sys.argv[1]).read())", filepath.Join(dir, name))
			if out, err := command.CombinedOutput(); err != nil {
				t.Errorf("%s: %v\n%s", name, err, out)
			}
		}
	})
}

// A result is what the run store has, and says who computed it.
func TestEveryEvalEverHasAllScores(t *testing.T) {
	t.Parallel()
	r := golden(t)
	r.Experiments = r.Experiments[:1]
	_, files := filled(t, r, "every-eval-ever")
	for _, text := range files {
		var record struct {
			Results []struct {
				Name  string                  `json:"evaluation_name"`
				Score struct{ Score float64 } `json:"score_details"`
				How   struct {
					Details map[string]string `json:"additional_details"`
				} `json:"generation_config"`
			} `json:"evaluation_results"`
		}
		if err := json.Unmarshal([]byte(text), &record); err != nil {
			t.Fatal(err)
		}
		var got []string
		for _, result := range record.Results {
			got = append(got, fmt.Sprintf("%s %.2f by %s", result.Name, result.Score.Score, result.How.Details["computed_by"]))
		}
		const model = " by the model, in float32"
		want := []string{"warpeace 1.79" + model, "warpeace: war 1.70" + model, "warpeace 1.80" + model, "warpeace: war 1.70" + model, "warpeace: peace 1.90" + model,
			"warpeace 1.79 by asic", "warpeace: war 1.70 by asic", "warpeace: peace 1.90 by asic", "warpeace 1.78 by cpu"}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("results (-want +got):\n%s", diff)
		}
	}
}

// curved is a report of an experiment of two sittings with its curves.
func curved(t *testing.T) *reports.Report {
	t.Helper()
	c := sample.Trained(t, 1, 3, `"training":{"epochs":8}`)
	started := time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
	stamp, err := json.Marshal(provenance.Experiment{Sittings: []provenance.Sitting{{Started: started, To: 2}, {Started: started.Add(time.Hour), From: 2, To: 3}}})
	if err != nil {
		t.Fatal(err)
	}
	c.StartedAt, c.Provenance = started, stamp
	s := sample.Stored(t, c)
	metrics, err := store.OpenSteps(s.ExperimentDir(c.ID), 0)
	if err != nil {
		t.Fatal(err)
	}
	for i := range 3 {
		if err := metrics.Append(store.Step{Step: uint64(i), Loss: float64(i), GradNorm: 0.5, LearningRate: 0.25, Seconds: 2}); err != nil {
			t.Fatal(err)
		}
	}
	paperStyle := 2.25
	for _, v := range []store.Validation{{Step: 2, Deployable: 2.5, PaperStyle: &paperStyle}, {Step: 3, Deployable: 1.5}} {
		if err := metrics.AppendValidation(v); err != nil {
			t.Fatal(err)
		}
	}
	if err := metrics.Close(); err != nil {
		t.Fatal(err)
	}
	return collect(t, s, "suite")
}

func TestTensorBoardHasTheCurves(t *testing.T) {
	t.Parallel()
	dir, files := filled(t, curved(t), "tensorboard")
	const name = "grammar/bigram/coin/seed-1/events.out.tfevents.1767323045.bittern"
	content, ok := files[name]
	if !ok || len(files) != 1 {
		t.Fatalf("the files are not %s alone: %d files", name, len(files))
	}
	want := []string{
		"1767323045 0: brain.Event:2",
		"1767323047 1: train/loss=0 train/gradient_norm=0.5 train/learning_rate=0.25",
		"1767323049 2: train/loss=1 train/gradient_norm=0.5 train/learning_rate=0.25",
		"1767323049 2: validation/deployable=2.5 validation/paper_style=2.25",
		"1767326647 3: train/loss=2 train/gradient_norm=0.5 train/learning_rate=0.25",
		"1767326647 3: validation/deployable=1.5",
	}
	if diff := cmp.Diff(want, events(t, []byte(content))); diff != "" {
		t.Errorf("events (-want +got):\n%s", diff)
	}
	t.Run("its own reader", func(t *testing.T) {
		if err := exec.Command("python3", "-c", "import tensorboard").Run(); err != nil {
			t.Skip("Python's tensorboard is not installed")
		}
		const script = `import sys
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
a = EventAccumulator(sys.argv[1]); a.Reload()
print([(s.step, s.value) for s in a.Scalars("validation/deployable")], sorted(a.Tags()["scalars"]))`
		out, err := exec.Command("python3", "-c", script, filepath.Join(dir, path.Dir(name))).Output()
		if err != nil || !strings.HasPrefix(string(out), "[(2, 2.5), (3, 1.5)] ['train/gradient_norm', 'train/learning_rate', 'train/loss', ") {
			t.Errorf("tensorboard reads %s, error %v", out, err)
		}
	})
}

// events reads an event file without the code that wrote it.
func events(t *testing.T, content []byte) (lines []string) {
	t.Helper()
	masked := func(data []byte) uint32 {
		crc := crc32.Checksum(data, crc32.MakeTable(crc32.Castagnoli))
		return (crc>>15 | crc<<17) + 0xa282ead8
	}
	for len(content) > 0 {
		length := binary.LittleEndian.Uint64(content)
		if got := binary.LittleEndian.Uint32(content[8:]); got != masked(content[:8]) {
			t.Fatalf("the checksum of a length is %x", got)
		}
		data := content[12 : 12+length]
		if got := binary.LittleEndian.Uint32(content[12+length:]); got != masked(data) {
			t.Fatalf("the checksum of a record is %x", got)
		}
		content = content[16+length:]
		var wall float64
		var step uint64
		var what []string
		each(t, data, func(field protowire.Number, number uint64, text []byte) {
			switch field {
			case 1:
				wall = math.Float64frombits(number)
			case 2:
				step = number
			case 3:
				what = append(what, string(text))
			case 5:
				each(t, text, func(_ protowire.Number, _ uint64, value []byte) { what = append(what, scalar(t, value)) })
			}
		})
		lines = append(lines, fmt.Sprintf("%.0f %d: %s", wall, step, strings.Join(what, " ")))
	}
	return lines
}

// scalar is a Summary.Value as TAG=VALUE.
func scalar(t *testing.T, value []byte) string {
	tag, number := "", "no value"
	each(t, value, func(field protowire.Number, bits uint64, text []byte) {
		switch field {
		case 1:
			tag = string(text)
		case 2:
			number = fmt.Sprint(math.Float32frombits(uint32(bits)))
		}
	})
	return tag + "=" + number
}

func each(t *testing.T, message []byte, do func(field protowire.Number, number uint64, text []byte)) {
	t.Helper()
	for len(message) > 0 {
		field, kind, n := protowire.ConsumeTag(message)
		if n < 0 {
			t.Fatal(protowire.ParseError(n))
		}
		message = message[n:]
		var number uint64
		var text []byte
		switch kind {
		case protowire.VarintType:
			number, n = protowire.ConsumeVarint(message)
		case protowire.Fixed64Type:
			number, n = protowire.ConsumeFixed64(message)
		case protowire.Fixed32Type:
			var short uint32
			short, n = protowire.ConsumeFixed32(message)
			number = uint64(short)
		case protowire.BytesType:
			text, n = protowire.ConsumeBytes(message)
		}
		if n < 0 {
			t.Fatal(protowire.ParseError(n))
		}
		do(field, number, text)
		message = message[n:]
	}
}

// Labels that are the same as names of files have runs of their own.
func TestTensorBoardKeepsRunsApart(t *testing.T) {
	t.Parallel()
	r := curved(t)
	other := r.Experiments[0]
	other.ID, other.Quantizer = "other", "c?in"
	third := other
	third.ID, third.Quantizer = "third", "c*in"
	r.Experiments = append(r.Experiments, other, third)
	_, files := filled(t, r, "tensorboard")
	var runs []string
	for name := range files {
		runs = append(runs, path.Dir(name))
	}
	slices.Sort(runs)
	if diff := cmp.Diff([]string{"grammar/bigram/c_in/seed-1", "grammar/bigram/c_in/seed-1-third", "grammar/bigram/coin/seed-1"}, runs); diff != "" {
		t.Errorf("runs (-want +got):\n%s", diff)
	}
}
