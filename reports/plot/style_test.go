package plot

import (
	"fmt"
	"image/color"
	"math"
	"slices"
	"strings"
	"testing"

	gonum "gonum.org/v1/plot"

	"bittern/reports"
)

// TestEachQuantizerLooksItsOwn checks that no two share shape and colour, and that
// every colour stands out by 3:1 from a white page and from a dark one (WCAG 2.2,
// 1.4.11, with its relative luminance).
func TestEachQuantizerLooksItsOwn(t *testing.T) {
	t.Parallel()
	r := &reports.Report{}
	for i := range len(palette) * len(shapes) {
		r.Networks = append(r.Networks, &reports.Network{Quantizer: strings.Repeat("q", i+1)})
	}
	seen := make(map[string]string)
	for quantizer, look := range seriesOf(r) {
		key := fmt.Sprint(look.color, look.shape)
		if seen[key] != "" {
			t.Errorf("%s and %s look alike", quantizer, seen[key])
		}
		seen[key] = quantizer
	}
	luminance := func(c color.NRGBA) float64 {
		linear := func(v uint8) float64 {
			if s := float64(v) / 255; s > 0.04045 {
				return math.Pow((s+0.055)/1.055, 2.4)
			}
			return float64(v) / 255 / 12.92
		}
		return 0.2126*linear(c.R) + 0.7152*linear(c.G) + 0.0722*linear(c.B)
	}
	for _, c := range palette {
		for _, page := range []color.NRGBA{{R: 255, G: 255, B: 255}, {R: 0x18, G: 0x1a, B: 0x1b}} {
			light, dark := max(luminance(c), luminance(page)), min(luminance(c), luminance(page))
			if ratio := (light + 0.05) / (dark + 0.05); ratio < 3 {
				t.Errorf("%v on %v has a contrast of %.2f, want 3", c, page, ratio)
			}
		}
	}
}

func TestTicksAreRound(t *testing.T) {
	t.Parallel()
	labels := func(ticks []gonum.Tick) (labels []string) {
		for _, tick := range ticks {
			if !tick.IsMinor() {
				labels = append(labels, tick.Label)
			}
		}
		return labels
	}
	for _, c := range []struct {
		ticker      gonum.Ticker
		least, most float64
		want        []string
	}{
		{linearTicks{}, 1.677, 1.861, []string{"1.70", "1.75", "1.80", "1.85"}},
		{linearTicks{}, 0, 8500, []string{"0", "2000", "4000", "6000", "8000"}},
		{linearTicks{}, -0.2, 0.21, []string{"-0.2", "-0.1", "0.0", "0.1", "0.2"}},
		{linearTicks{}, -0.05, 0.21, []string{"-0.05", "0.00", "0.05", "0.10", "0.15", "0.20"}},
		{linearTicks{}, -0.01, 0.25, []string{"0.00", "0.05", "0.10", "0.15", "0.20", "0.25"}},
		{linearTicks{whole: true}, 0, 3, []string{"0", "1", "2", "3"}},
		{logTicks{}, 150, 900, []string{"200", "500"}},
		{logTicks{}, 0.3, 12, []string{"0.5", "1", "2", "5", "10"}},
		{logTicks{}, 3, 40000, []string{"10", "100", "1000", "10000"}},
	} {
		if got := labels(c.ticker.Ticks(c.least, c.most)); !slices.Equal(got, c.want) {
			t.Errorf("%T from %v to %v: %q, want %q", c.ticker, c.least, c.most, got, c.want)
		}
	}
}

// TestRangesThatAreNone draws what has one value, or none above 0.
func TestRangesThatAreNone(t *testing.T) {
	t.Parallel()
	for _, c := range []struct{ bytes, score float64 }{{1000, 1.7}, {0, 0}, {-1, -3}} {
		r := suite(1)
		for _, n := range r.Networks {
			n.DeployedBytes, n.Deployable = c.bytes, of(c.score, 0)
		}
		if got := len(parsed(t, drawn(t, r, "memory")[0].SVG).titles("mark")); got != 3 {
			t.Errorf("%d marks at %v, want 3", got, c)
		}
	}
}

func TestNamesAreCutInTheMiddle(t *testing.T) {
	t.Parallel()
	if got, want := cut("lstm-512-batch-normalised-with-äöü-2", 12), "lstm-51…öü-2"; got != want {
		t.Errorf("cut %q, want %q", got, want)
	}
	if got := cut("short", 12); got != "short" {
		t.Errorf("cut %q, want short", got)
	}
}
