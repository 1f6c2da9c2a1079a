package host_test

import (
	"testing"
	"time"

	"bittern/plugins"
	"bittern/plugins/arena"
	"bittern/plugins/host"
	"bittern/plugins/model"
	"bittern/plugins/null"
	"bittern/plugins/quantizer"
)

func nulls() []plugins.ID {
	var ids []plugins.ID
	for _, kind := range plugins.Kinds {
		ids = append(ids, plugins.ID{Kind: kind, Name: null.Name})
	}
	return ids
}

func TestNullPluginsThroughProcesses(t *testing.T) {
	t.Parallel()
	catalogue, err := host.NewCatalogue(nulls(), "")
	if err != nil {
		t.Fatal(err)
	}
	ctx := t.Context()
	shared, err := arena.Create("", 0)
	if err != nil {
		t.Fatal(err)
	}
	defer shared.Close()
	start := time.Now()
	q, err := catalogue.Quantizer(ctx, null.Name, host.Settings{Arena: shared})
	if err != nil {
		t.Fatal(err)
	}
	defer q.Close()
	t.Log("start", time.Since(start))
	latent, err := arena.Make[float32](shared, 12, 3)
	if err != nil {
		t.Fatal(err)
	}
	quantized, err := arena.Make[float32](shared, 12, 3)
	if err != nil {
		t.Fatal(err)
	}
	for i := range latent {
		latent[i] = float32(i)
	}
	err = q.Open(ctx, nil, []quantizer.Weight{{Shape: quantizer.Shape{Name: "w", Rows: 12, Cols: 3}, Latent: latent, Quantized: quantized}})
	if err != nil {
		t.Fatal(err)
	}
	if err := q.Quantize(ctx, quantizer.Draw{}); err != nil {
		t.Fatal(err)
	}
	if quantized[35] != 35 {
		t.Errorf("quantized[35] = %v, want 35", quantized[35])
	}
	frozen, err := q.Freeze(ctx, quantizer.Draw{})
	if err != nil {
		t.Fatal(err)
	}
	if got := frozen[0].Values[35]; got != 35 {
		t.Errorf("frozen value 35 = %v, want 35", got)
	}
	m, err := catalogue.Model(ctx, null.Name, host.Settings{Arena: shared})
	if err != nil {
		t.Fatal(err)
	}
	defer m.Close()
	plan, err := m.Plan(ctx, plugins.Values{"units": "3"}, model.Task{Kind: model.LanguageModel, InputSize: 5, OutputSize: 5, Batch: 2, Length: 4})
	if err != nil {
		t.Fatal(err)
	}
	t.Log(plan)
	start = time.Now()
	b, err := catalogue.Backend(ctx, null.Name, host.Settings{})
	if err != nil {
		t.Fatal(err)
	}
	t.Log(b.Description(), time.Since(start))
	start = time.Now()
	if err := b.Close(); err != nil {
		t.Error(err)
	}
	t.Log("close", time.Since(start))
}
