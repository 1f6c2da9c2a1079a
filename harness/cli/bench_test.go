package cli

import (
	"errors"
	"strings"
	"testing"

	"bittern/accel/kernels/isa"
	"bittern/harness/bench"
	"bittern/harness/internal/terminal"
)

// TestBenchCheck checks that only a goal whose whole interval is missed fails the check.
func TestBenchCheck(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		name    string
		seconds []float64
		want    error
		says    string
	}{
		{"reached", []float64{0.1, 0.1, 0.1, 0.1, 0.1, 0.1}, nil, ""},
		{"cannot tell", []float64{0.1, 0.5, 0.5, 0.5, 0.5, 0.5}, nil, ""},
		{"missed", []float64{0.5, 0.6, 0.5, 0.5, 0.5, 0.5}, errFailed, "missed: Start/plugins-list: 500 ms (500 ms – 600 ms), must be ≤ 400 ms\n"},
	} {
		var stdout, stderr strings.Builder
		p := &program{stdout: output{&stdout}, stderr: terminal.New(&stderr)}
		result := &bench.Result{
			Processor: isa.Processor{Best: "avx512", InUse: "avx512"},
			Parts:     []bench.Part{{Lines: []bench.Line{{Name: "Start/plugins-list", Unit: bench.Seconds, Ours: bench.Sample{Values: test.seconds}}}}},
		}
		if err := p.writeBench(result, benchSettings{Format: benchTable, Check: true}); !errors.Is(err, test.want) || stderr.String() != test.says {
			t.Errorf("%s: got %v and %q, want %v and %q", test.name, err, stderr.String(), test.want, test.says)
		}
		if err := p.writeBench(result, benchSettings{Format: benchTable}); err != nil {
			t.Errorf("%s: without --check got %v", test.name, err)
		}
	}
}
