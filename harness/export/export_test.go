package export_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"testing"

	"codeberg.org/sbinet/npyio/npz"
	"github.com/google/go-cmp/cmp"

	"bittern/harness/artifact"
	"bittern/harness/checkpoint"
	"bittern/harness/export"
	"bittern/harness/export/onnx"
	"bittern/harness/store"
	"bittern/plugins"
	"bittern/plugins/network"
	"bittern/plugins/network/sample"
)

// deployed is a program with planes, a scale for each row and tables.
func deployed(t *testing.T, name string) artifact.Network {
	t.Helper()
	for _, p := range sample.Programs() {
		if p.Name == name {
			return artifact.Network{Program: p.Network, Weights: p.Weights}
		}
	}
	t.Fatalf("there is no sample program %s", name)
	return artifact.Network{}
}

func experiment() store.Experiment {
	test := 1.25
	return store.Experiment{
		ID: "0123456789abcdef", Config: json.RawMessage(`{"units":9}`), Task: "text", Model: "lstm-9", Quantizer: "alternating", Seed: 7, Steps: 20,
		Metric: "BPC", FrozenModel: &test, Draws: []store.FreezeDraw{{Deployed: true, BitsPerWeight: 2}},
	}
}

func written(t *testing.T, n artifact.Network, o export.Options) []byte {
	t.Helper()
	var content, again bytes.Buffer
	for _, w := range []*bytes.Buffer{&content, &again} {
		if _, err := export.Write(w, n, experiment(), "v1", o); err != nil {
			t.Fatal(err)
		}
	}
	if !bytes.Equal(content.Bytes(), again.Bytes()) {
		t.Errorf("%v: two files of one network differ", o)
	}
	return content.Bytes()
}

// wantMetadata is what every file says of where it comes from.
func wantMetadata(weights onnx.Weights) map[string]string {
	return map[string]string{
		"experiment": "0123456789abcdef", "task": "text", "model": "lstm-9", "quantizer": "alternating", "seed": "7", "steps": "20",
		"config": `{"units":9}`, "bits_per_weight": "2", "metric": "BPC", "test": "1.25", "producer": "bittern v1", "weights": string(weights),
	}
}

func TestSafetensors(t *testing.T) {
	t.Parallel()
	for weights, form := range map[onnx.Weights]artifact.Form{onnx.Packed: artifact.PlainCodes, onnx.Float32: artifact.Values} {
		n := deployed(t, "lstm-two-planes-rows")
		content := written(t, n, export.Options{Format: export.Safetensors, Weights: weights})
		got, err := checkpoint.ReadTensors(bytes.NewReader(content), int64(len(content)))
		if err != nil {
			t.Fatal(err)
		}
		want := n.Tensors(form)
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("%s (-want +got):\n%s", weights, diff)
		}
		var header struct {
			Metadata map[string]string `json:"__metadata__"`
		}
		if err := json.NewDecoder(bytes.NewReader(content[8:])).Decode(&header); err != nil {
			t.Fatal(err)
		}
		checkMetadata(t, n, header.Metadata, weights)
	}
}

// checkMetadata compares metadata, and the program in it.
func checkMetadata(t *testing.T, n artifact.Network, got map[string]string, weights onnx.Weights) {
	t.Helper()
	var program network.Network
	if err := json.Unmarshal([]byte(got["program"]), &program); err != nil {
		t.Errorf("the program in the metadata: %v", err)
	}
	// JSON has no empty list for one that is not there.
	text, err := json.Marshal(n.Outline())
	if err != nil {
		t.Fatal(err)
	}
	if back, err := json.Marshal(program); err != nil || !bytes.Equal(back, text) {
		t.Errorf("the program in the metadata is %s, want %s; %v", back, text, err)
	}
	delete(got, "program")
	if diff := cmp.Diff(wantMetadata(weights), got); diff != "" {
		t.Errorf("metadata (-want +got):\n%s", diff)
	}
}

func TestNPZ(t *testing.T) {
	t.Parallel()
	for weights, form := range map[onnx.Weights]artifact.Form{onnx.Packed: artifact.PlainCodes, onnx.Float32: artifact.Values} {
		n := deployed(t, "lstm-two-planes-rows")
		content := written(t, n, export.Options{Format: export.NPZ, Weights: weights})
		file, err := npz.NewReader(bytes.NewReader(content), int64(len(content)))
		if err != nil {
			t.Fatal(err)
		}
		want := n.Tensors(form)
		if len(file.Keys()) != len(want)+1 {
			t.Errorf("%d arrays, want %d tensors and the metadata", len(file.Keys()), len(want))
		}
		for _, tensor := range want {
			name := tensor.Name + ".npy"
			got := checkpoint.Tensor{Name: tensor.Name}
			header := file.Header(name)
			if header == nil {
				t.Fatalf("there is no array %s", name)
			}
			got.Shape = header.Descr.Shape
			switch {
			case tensor.Float32 != nil:
				err = file.Read(name, &got.Float32)
			case tensor.Uint8 != nil:
				err = file.Read(name, &got.Uint8)
			default:
				err = file.Read(name, &got.Uint16)
			}
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(tensor, got); diff != "" {
				t.Errorf("%s (-want +got):\n%s", name, diff)
			}
		}
		var text []byte
		if err := file.Read("metadata.npy", &text); err != nil {
			t.Fatal(err)
		}
		var metadata map[string]string
		if err := json.Unmarshal(text, &metadata); err != nil {
			t.Fatal(err)
		}
		checkMetadata(t, n, metadata, weights)
	}
}

func TestONNX(t *testing.T) {
	t.Parallel()
	var content bytes.Buffer
	summary, err := export.Write(&content, deployed(t, "gru-binary-rows"), experiment(), "v1", export.Options{Format: export.ONNX, Weights: onnx.Packed})
	if want := "ONNX, opset 25, 1 GRU"; err != nil || summary != want {
		t.Errorf("summary %q, %v, want %q", summary, err, want)
	}
	for _, text := range []string{"0123456789abcdef", "text, lstm-9, alternating, seed 7, as deployed by bittern", `{"units":9}`} {
		if !bytes.Contains(content.Bytes(), []byte(text)) {
			t.Errorf("the model does not say %q", text)
		}
	}
}

func TestOptionsThatDoNotFit(t *testing.T) {
	t.Parallel()
	for want, o := range map[string]export.Options{
		`there is no format "onxn", did you mean "onnx"?; use one of onnx, safetensors, npz`:                  {Format: "onxn", Weights: onnx.Packed},
		`there is no way to store weights "float", did you mean "float32"?; use one of packed, int8, float32`: {Format: export.ONNX, Weights: "float"},
		"--weights packed or float32":          {Format: export.NPZ, Weights: onnx.Int8},
		"--carried gives an ONNX model inputs": {Format: export.Safetensors, Weights: onnx.Packed, Carried: true},
	} {
		_, err := export.Write(new(bytes.Buffer), deployed(t, "gru-binary-rows"), experiment(), "v1", o)
		if problem, ok := errors.AsType[*plugins.Problem](err); !ok || !strings.Contains(problem.Sentence, want) {
			t.Errorf("%+v: %v, want a Problem with %q", o, err, want)
		}
	}
}

// full is a disk without room.
type full struct{ room int }

func (f *full) Write(p []byte) (int, error) {
	if f.room -= len(p); f.room < 0 {
		return 0, fmt.Errorf("no space left")
	}
	return len(p), nil
}

// What cannot be written is told for every format, wherever the room ends.
func TestNoRoom(t *testing.T) {
	t.Parallel()
	for _, format := range export.Formats {
		for _, room := range []int{0, 1500} {
			if _, err := export.Write(&full{room}, deployed(t, "lstm-float"), experiment(), "v1", export.Options{Format: format, Weights: onnx.Packed}); err == nil {
				t.Errorf("%s was written where there is room for %d bytes", format, room)
			}
		}
	}
}
