package builtin_test

import (
	"testing"

	"bittern/builtin"
	"bittern/internal/conformance/checktest"
	"bittern/internal/conformance/process"
	"bittern/internal/host"
	"bittern/plugins"
)

// particular is how the kit tries a built-in whose defaults are too large for it or
// that refuses some of what it tries. Any other is tried with its defaults, and has
// to serve everything.
var particular = map[plugins.ID]struct {
	options plugins.Values
	refused []string // of what the kit tries, by its names
}{
	{Kind: plugins.KindModel, Name: "lstm"}: {plugins.Values{"units": "9", "layers": "2", "dropout": "0.3"}, []string{"question"}},
	{Kind: plugins.KindModel, Name: "gru"}:  {plugins.Values{"units": "9", "reset": "before", "normalization": "layer"}, []string{"question"}},
	{Kind: plugins.KindModel, Name: "attentive-reader"}: {
		plugins.Values{"units": "9", "embedding": "7", "normalization": "none"}, []string{"steps", "carried", "features", "lengths"},
	},
	{Kind: plugins.KindModel, Name: "null"}:  {plugins.Values{"units": "3"}, nil},
	{Kind: plugins.KindBackend, Name: "cpu"}: {plugins.Values{"timed-sequences": "2"}, nil},
}

// TestConformance holds every built-in against the contract in a process of its own.
// With all their options the tests of their packages do so in process and over gRPC.
func TestConformance(t *testing.T) {
	t.Parallel()
	var ids []plugins.ID
	for _, plugin := range builtin.Plugins() {
		ids = append(ids, plugin.ID)
	}
	catalogue, err := host.NewCatalogue(ids, "")
	if err != nil {
		t.Fatal(err)
	}
	for id := range particular {
		if _, err := catalogue.Find(id); err != nil {
			t.Errorf("%s is listed by this test and is no built-in: %v", id, err)
		}
	}
	for _, id := range ids {
		t.Run(id.String(), func(t *testing.T) {
			t.Parallel()
			p := particular[id]
			var options []plugins.Values
			if id.Kind != plugins.KindModel {
				options = append(options, nil) // the defaults, which make a model too large
			}
			if p.options != nil {
				options = append(options, p.options)
			}
			refusals := &checktest.Refusals{}
			refusals.Want(t, p.refused...)
			checktest.Run(t, refusals, process.Groups(catalogue, id, options...))
		})
	}
}
