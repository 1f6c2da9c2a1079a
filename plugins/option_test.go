package plugins_test

import (
	"errors"
	"testing"

	"github.com/google/go-cmp/cmp"

	"bittern/plugins"
)

// options hold one of each type, with and without bounds and choices.
var options = []plugins.Option{
	{Name: "units", Type: plugins.Int, Default: "512", Min: 1, Max: 4096},
	{Name: "seed", Type: plugins.Int, Default: "-3", Min: 1, Max: 0},
	{Name: "rate", Type: plugins.Float, Default: "0.5", Min: 0, Max: 1},
	{Name: "clip", Type: plugins.Bool, Default: "false"},
	{Name: "sampling", Type: plugins.String, Default: "stochastic", Choices: []string{"stochastic", "deterministic"}},
	{Name: "note", Type: plugins.String},
}

func TestResolveFillsInDefaults(t *testing.T) {
	t.Parallel()
	got, err := plugins.Resolve("model/lstm", options, plugins.Values{"units": "17", "rate": "1e-3", "note": "anything at all"})
	if err != nil {
		t.Fatal(err)
	}
	want := plugins.Values{"units": "17", "seed": "-3", "rate": "1e-3", "clip": "false", "sampling": "stochastic", "note": "anything at all"}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("Resolve (-want +got):\n%s", diff)
	}
	if n, f, b, s := got.Int("units"), got.Float("rate"), got.Bool("clip"), got.Text("sampling"); n != 17 || f != 1e-3 || b || s != "stochastic" {
		t.Errorf("values read as %v, %v, %v, %q, want 17, 0.001, false, stochastic", n, f, b, s)
	}
}

func TestResolveRefuses(t *testing.T) {
	t.Parallel()
	const names = "; its options are units, seed, rate, clip, sampling, note"
	for want, given := range map[string]plugins.Values{
		`model/lstm has no option "unit", did you mean "units"?` + names:                  {"unit": "3"},
		`model/lstm has no option "temperature"` + names:                                  {"temperature": "3"},
		`model/lstm: option units = "0" must be between 1 and 4096`:                       {"units": "0"},
		`model/lstm: option units = "4097" must be between 1 and 4096`:                    {"units": "4097"},
		`model/lstm: option units = "1.5" must be a whole number between 1 and 4096`:      {"units": "1.5"},
		`model/lstm: option seed = "" must be a whole number`:                             {"seed": ""},
		`model/lstm: option rate = "1.001" must be between 0 and 1`:                       {"rate": "1.001"},
		`model/lstm: option rate = "NaN" must be a number between 0 and 1`:                {"rate": "NaN"},
		`model/lstm: option rate = "+Inf" must be a number between 0 and 1`:               {"rate": "+Inf"},
		`model/lstm: option clip = "perhaps" must be true or false`:                       {"clip": "perhaps"},
		`model/lstm: option sampling = "random" must be one of stochastic, deterministic`: {"sampling": "random"},
	} {
		_, err := plugins.Resolve("model/lstm", options, given)
		if problem, ok := errors.AsType[*plugins.Problem](err); !ok || problem.Sentence != want {
			t.Errorf("Resolve of %v: error %v, want the problem %s", given, err, want)
		}
	}
	_, err := plugins.Resolve("model/null", nil, plugins.Values{"units": "3"})
	if want := `model/null has no option "units"; its options are none`; err == nil || err.Error() != want {
		t.Errorf("Resolve where there are no options: error %v, want %s", err, want)
	}
}

func TestDidYouMean(t *testing.T) {
	t.Parallel()
	known := []string{"stochastic-binary", "stochastic-ternary", "none"}
	for name, want := range map[string]string{
		"stochastic-tenary": `, did you mean "stochastic-ternary"?`,
		"Stochastic-Binary": `, did you mean "stochastic-binary"?`,
		"nome":              `, did you mean "none"?`,
		"nxyz":              "",
		"quaternary":        "",
	} {
		if got := plugins.DidYouMean(name, known); got != want {
			t.Errorf("DidYouMean(%q) = %q, want %q", name, got, want)
		}
	}
}

func TestValuesThatWereNotResolvedPanic(t *testing.T) {
	t.Parallel()
	values := plugins.Values{"word": "text"}
	for name, read := range map[string]func(){
		"an unknown name": func() { values.Text("other") },
		"no whole number": func() { values.Int("word") },
		"no number":       func() { values.Float("word") },
		"no truth value":  func() { values.Bool("word") },
	} {
		func() {
			defer func() {
				if recover() == nil {
					t.Errorf("%s: no panic", name)
				}
			}()
			read()
		}()
	}
}
