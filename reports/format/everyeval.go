package format

import (
	"bytes"
	"crypto/sha256"
	"encoding/json"
	"fmt"
	"os"
	"path"
	"strconv"
	"strings"

	"github.com/google/uuid"

	"bittern/harness/metric"
	"bittern/harness/provenance"
	"bittern/harness/store"
	"bittern/plugins"
	"bittern/reports"
)

// everyEvalVersion is the version of the schema of Every Eval Ever
// (https://github.com/evaleval/every_eval_ever) that the types below follow.
const everyEvalVersion = "0.3.0"

// developer is whose networks these are, which the schema asks for: the program that
// trained them.
const developer = "bittern"

type evaluation struct {
	SchemaVersion string       `json:"schema_version"`
	ID            string       `json:"evaluation_id"`
	Timestamp     string       `json:"evaluation_timestamp,omitempty"`
	Retrieved     string       `json:"retrieved_timestamp"` // Unix time
	Source        evalSource   `json:"source_metadata"`
	Library       evalLibrary  `json:"eval_library"`
	Model         evalModel    `json:"model_info"`
	Results       []evalResult `json:"evaluation_results"`
}

type evalSource struct {
	Name         string `json:"source_name"`
	Type         string `json:"source_type"`
	Organization string `json:"source_organization_name"`
	Relationship string `json:"evaluator_relationship"`
}

type evalLibrary struct {
	Name    string `json:"name"`
	Version string `json:"version"`
}

type evalModel struct {
	Name    string            `json:"name"`
	ID      string            `json:"id"`
	Details map[string]string `json:"additional_details"`
}

type evalResult struct {
	ID         string          `json:"evaluation_result_id"`
	Name       string          `json:"evaluation_name"`
	Data       evalData        `json:"source_data"`
	Metric     evalMetric      `json:"metric_config"`
	Score      evalScore       `json:"score_details"`
	Generation *evalGeneration `json:"generation_config,omitempty"`
}

type evalData struct {
	Name    string            `json:"dataset_name"`
	Type    string            `json:"source_type"`
	Details map[string]string `json:"additional_details"`
}

type evalMetric struct {
	Description   string `json:"evaluation_description"`
	ID            string `json:"metric_id"`
	Name          string `json:"metric_name"`
	Kind          string `json:"metric_kind"`
	Unit          string `json:"metric_unit,omitempty"`
	LowerIsBetter bool   `json:"lower_is_better"`
	ScoreType     string `json:"score_type"`
	Min           any    `json:"min_score"`
	Max           any    `json:"max_score"` // a number or "Infinity"
}

type evalScore struct {
	Score   float64           `json:"score"`
	Details map[string]string `json:"details,omitempty"`
}

type evalGeneration struct {
	Details map[string]string `json:"additional_details"`
}

// evalMetrics are the metrics in the words of the schema.
var evalMetrics = map[metric.Metric]evalMetric{
	metric.BPC:        {ID: "bits_per_character", Kind: "bits_per_character", Unit: "bits", Min: 0, Max: "Infinity"},
	metric.Perplexity: {ID: "perplexity", Kind: "perplexity", Min: 1, Max: "Infinity"},
	metric.Accuracy:   {ID: "accuracy", Kind: "accuracy", Unit: "percent", Min: 0, Max: 100},
	metric.ErrorRate:  {ID: "error_rate", Kind: "error_rate", Unit: "percent", Min: 0, Max: 100},
}

// collection is the folder of a suite; "data" is the one above.
func collection(suite string) string {
	if name := fileName(suite); name != "data" {
		return name
	}
	return "data_"
}

// writeEveryEval writes one file of Every Eval Ever for each experiment: the network of
// one seed with its scores on the test part, at the path that the data set of Every Eval
// Ever wants, data/SUITE/bittern/NETWORK/UUID.json. What the schema asks for and the run
// store does not know is "unknown".
func writeEveryEval(folder *os.Root, r *reports.Report) error {
	if err := finished(r); err != nil {
		return err
	}
	for i := range r.Experiments {
		e := &r.Experiments[i]
		record, err := evaluationOf(r.Suite, e)
		if err != nil {
			return err
		}
		var text bytes.Buffer
		if err := encodeJSON(&text, record); err != nil {
			return err
		}
		// The name of a file has to be a random UUID. This one is made of what the file is
		// of, so that the same report has the same files.
		digest := sha256.Sum256([]byte(record.ID))
		id, err := uuid.NewRandomFromReader(bytes.NewReader(digest[:]))
		if err != nil {
			return err
		}
		name := path.Join("data", collection(r.Suite), developer, strings.TrimPrefix(record.Model.ID, developer+"/"), id.String()+".json")
		if err := folder.MkdirAll(path.Dir(name), 0o755); err != nil {
			return err
		}
		if err := folder.WriteFile(name, text.Bytes(), 0o644); err != nil {
			return err
		}
	}
	return nil
}

func evaluationOf(suite string, e *reports.Experiment) (*evaluation, error) {
	m := metric.Metric(e.Metric)
	config, known := evalMetrics[m]
	if !known {
		return nil, plugins.Problemf("Every Eval Ever wants to know whether less of a metric is better, which nobody knows of %q; write the report in another format", e.Metric)
	}
	config.Description, config.Name, config.LowerIsBetter, config.ScoreType = m.Doc(), e.Metric, !m.HigherIsBetter(), "continuous"
	var made provenance.Experiment
	if err := json.Unmarshal(e.Provenance, &made); err != nil {
		return nil, fmt.Errorf("the provenance of experiment %s: %w", e.ID, err)
	}
	version := provenance.Unknown
	if n := len(made.Sittings); n > 0 {
		version = made.Sittings[n-1].Commit
		if made.Sittings[n-1].Modified {
			version += " with changes"
		}
	}
	retrieved, timestamp := "unknown", ""
	if !e.FinishedAt.IsZero() {
		retrieved, timestamp = strconv.FormatInt(e.FinishedAt.Unix(), 10), e.FinishedAt.UTC().Format("2006-01-02T15:04:05Z")
	}
	id := fmt.Sprintf("%s/%s_seed-%d_%s", developer, fileName(e.ModelName()+"_"+e.Quantizer), e.Seed, e.ID)
	record := &evaluation{
		SchemaVersion: everyEvalVersion,
		ID:            strings.Join([]string{collection(suite), id, retrieved}, "/"),
		Timestamp:     timestamp, Retrieved: retrieved,
		Source:  evalSource{Name: suite, Type: "evaluation_run", Organization: "unknown", Relationship: "first_party"},
		Library: evalLibrary{Name: developer, Version: version},
		Model:   evalModel{Name: fmt.Sprintf("%s / %s, seed %d", e.ModelName(), e.Quantizer, e.Seed), ID: id, Details: modelDetails(e)},
		Results: []evalResult{},
	}
	data := evalData{Name: made.Data, Type: "other", Details: map[string]string{"part": "test", "sha256": made.SHA256, "synthetic": strconv.FormatBool(made.Synthetic)}}
	if made.Note != "" {
		data.Details["note"] = made.Note
	}
	add := func(name string, score *float64, how map[string]string) {
		if score == nil {
			return
		}
		r := evalResult{ID: fmt.Sprintf("%s/%d", e.ID, len(record.Results)), Name: name, Data: data, Metric: config, Score: evalScore{Score: *score}}
		r.Generation = &evalGeneration{Details: how}
		record.Results = append(record.Results, r)
	}
	groups := func(groups []store.GroupScore, how map[string]string) {
		for _, g := range groups {
			add(e.Task+": "+g.Group, &g.Score, how)
		}
	}
	frozen := map[string]string{"network": "as it was packed", "computed_by": "the model, in float32"}
	add(e.Task, e.FrozenModel, frozen)
	groups(e.FrozenModelGroups, frozen)
	sampled := map[string]string{"network": "batch statistics, weights drawn anew for each batch", "computed_by": "the model, in float32"}
	add(e.Task, e.PaperStyle, sampled)
	groups(e.PaperStyleGroups, sampled)
	for _, d := range e.Deployments {
		how := map[string]string{"network": "as it was packed", "computed_by": d.Backend}
		if d.Doubt != "" {
			how["doubt"] = d.Doubt
		}
		add(e.Task, d.Metric, how)
		groups(d.Groups, how)
	}
	return record, nil
}

// modelDetails are what tells a network from others. The schema asks for who ran it and
// whether its weights can be had.
func modelDetails(e *reports.Experiment) map[string]string {
	details := map[string]string{
		"deployment_type": "self_deployed", "model_availability": "unknown",
		"experiment": e.ID, "task": e.Task, "model": e.ModelName(), "quantizer": e.Quantizer, "seed": strconv.FormatUint(e.Seed, 10),
		"training_steps": strconv.FormatUint(e.Steps, 10), "parameters": strconv.FormatInt(e.Parameters, 10), "deployed_bytes": strconv.FormatInt(e.DeployedBytes, 10),
	}
	if bits := e.BitsPerWeight(); bits > 0 {
		details["bits_per_weight"] = strconv.FormatFloat(bits, 'g', -1, 64)
	}
	for _, s := range e.Settings {
		details["setting."+s.Name] = s.Value
	}
	return details
}
