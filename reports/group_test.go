package reports

import (
	"encoding/json"
	"reflect"
	"testing"

	"bittern/baselines/published"
	"bittern/harness/store"
)

// A network that rounds its hidden states is like none that was published.
func TestRoundedStatesAreNotPublished(t *testing.T) {
	t.Parallel()
	got, err := publishedSetting(store.Experiment{
		Config:   json.RawMessage(`{"task": "smnist", "data": "mnist", "quantizer": {"name": "none"}}`),
		Settings: []store.Setting{{Name: "cell", Value: "LSTM"}, {Name: "units", Value: "100"}, {Name: "layers", Value: "1"}, {Name: "normalization", Value: "batch-cell"}, {Name: "hidden bits", Value: "2"}},
	})
	if err != nil || !reflect.DeepEqual(got, published.Setting{}) {
		t.Errorf("got %+v, %v, want nothing to hold it against", got, err)
	}
}

// What an experiment is held against says whether its layers read both ways, and the
// options of its quantizer.
func TestPublishedSettingHasDirectionsAndOptions(t *testing.T) {
	t.Parallel()
	settings := []store.Setting{{Name: "cell", Value: "LSTM"}, {Name: "units", Value: "100"}, {Name: "layers", Value: "1"}, {Name: "normalization", Value: "batch-cell"}}
	want := published.Setting{Task: "smnist", Data: "mnist", Cell: "LSTM", Units: 100, Layers: 1, Quantizer: "lsq", Options: map[string]string{"bits": "3"}, Normalization: "batch-cell"}
	for _, bidirectional := range []bool{false, true} {
		if bidirectional {
			settings = append(settings, store.Setting{Name: "bidirectional", Value: "true"})
		}
		want.Bidirectional = bidirectional
		got, err := publishedSetting(store.Experiment{Config: json.RawMessage(`{"task": "smnist", "data": "mnist", "quantizer": {"name": "lsq", "options": {"bits": "3"}}}`), Settings: settings})
		if err != nil || !reflect.DeepEqual(got, want) {
			t.Errorf("settings %v: got %+v, %v, want %+v", settings, got, err, want)
		}
	}
}
