package host_test

import (
	"context"
	"errors"
	"fmt"
	"math"
	"os"
	"runtime"
	"strings"
	"time"

	"bittern/internal/null"
	"bittern/plugins"
	"bittern/plugins/backend"
	"bittern/plugins/network"
	"bittern/plugins/quantizer"
	"bittern/plugins/sdk"
)

// served has the plugins that the test binary can be: the null plugins, and one for every way of
// being broken.
var served = map[string]func(){
	"quantizer/null": func() { sdk.ServeQuantizer(null.NewQuantizer()) },
	"model/null":     func() { sdk.ServeModel(null.NewModel()) },
	"backend/null":   func() { sdk.ServeBackend(unsupporting{null.NewBackend()}) },

	"quantizer/exits":          func() { serveQuantizer("exits", func(*faulty) error { os.Exit(3); return nil }) },
	"quantizer/panics":         func() { serveQuantizer("panics", panicOnce) },
	"quantizer/panics-outside": func() { serveQuantizer("panics-outside", panicOutside) },
	"quantizer/hangs":          func() { serveQuantizer("hangs", func(*faulty) error { select {} }) },
	"quantizer/fails": func() {
		serveQuantizer("fails", func(*faulty) error { return errors.New("the weights are upside down") })
	},
	"quantizer/refuses": func() {
		serveQuantizer("refuses", func(*faulty) error { return plugins.Problemf("give it fewer weights") })
	},
	"quantizer/nan":         func() { serveQuantizer("nan", writeNaN) },
	"quantizer/short":       func() { serveQuantizer("short", func(*faulty) error { return nil }) },
	"quantizer/prints":      func() { serveQuantizer("prints", printALot) },
	"quantizer/prints-past": func() { serveQuantizer("prints-past", printPast) },
	"quantizer/truncates":   func() { serveQuantizer("truncates", truncateArena) },
	"quantizer/noisy":       func() { serveQuantizer("noisy", func(*faulty) error { return errors.New(noise) }) },
	"quantizer/noisy-problem": func() {
		serveQuantizer("noisy-problem", func(*faulty) error { return plugins.Problemf("%s", noise) })
	},
	"quantizer/hoards": func() { serveQuantizer("hoards", hoard) },
	"quantizer/processors": func() {
		serveQuantizer("processors", func(*faulty) error { return fmt.Errorf("runs on %d", runtime.NumCPU()) })
	},
	"quantizer/hangs-in-describe": func() { serveQuantizer("hangs-in-describe", nil) },
	"quantizer/misnamed":          func() { serveQuantizer("somebody-else", nil) },
	"quantizer/newer": func() {
		sdk.ServeQuantizer(&faulty{Quantizer: null.NewQuantizer(), name: "newer", api: plugins.APIVersion + 1})
	},
	"quantizer/wrong-kind":   func() { sdk.ServeModel(null.NewModel()) },
	"quantizer/garbage":      func() { fmt.Println("hello, world"); time.Sleep(time.Minute) },
	"quantizer/newer-shake":  func() { fmt.Printf("1|%d|unix|/nowhere|grpc|\n", plugins.APIVersion+1); time.Sleep(time.Minute) },
	"quantizer/never-starts": func() { fmt.Fprintln(os.Stderr, "no licence found"); os.Exit(7) },
}

// faulty is the null quantizer with another Quantize.
type faulty struct {
	quantizer.Quantizer
	name     string
	api      int
	quantize func(*faulty) error
	calls    int
	hoard    [][]byte
	weights  []quantizer.Weight
}

func serveQuantizer(name string, quantize func(*faulty) error) {
	sdk.ServeQuantizer(&faulty{Quantizer: null.NewQuantizer(), name: name, api: plugins.APIVersion, quantize: quantize})
}

func (f *faulty) Describe(ctx context.Context) (plugins.Description, error) {
	if f.name == "hangs-in-describe" {
		fmt.Fprintln(os.Stderr, "still thinking")
		select {}
	}
	d, err := f.Quantizer.Describe(ctx)
	d.Name, d.API = f.name, f.api
	if f.name == "noisy" {
		d.Version, d.Summary = "1\n2", strings.ToValidUTF8(noise, "")
	}
	d.Options = []plugins.Option{{Name: "scale", Type: plugins.Float, Default: "0.5", Min: 0, Max: 1, Doc: "a scale"}}
	return d, err
}

// Plan shows in the name of a state which options it was given.
func (f *faulty) Plan(_ context.Context, options plugins.Values, weights []quantizer.Shape) ([]quantizer.State, error) {
	return []quantizer.State{{Name: "scale=" + options.Text("scale"), Weight: weights[0].Name, Shape: []int{1}}}, nil
}

// Project never fails.
func (*faulty) Project(context.Context) error { return nil }

func (f *faulty) Open(ctx context.Context, options plugins.Values, weights []quantizer.Weight) error {
	f.weights = weights
	return f.Quantizer.Open(ctx, options, weights)
}

func (f *faulty) Quantize(ctx context.Context, draw quantizer.Draw) error {
	if err := f.Quantizer.Quantize(ctx, draw); err != nil {
		return err
	}
	f.calls++
	fmt.Fprintln(os.Stderr, "on the way to", f.name)
	return f.quantize(f)
}

func (f *faulty) Freeze(ctx context.Context, draw quantizer.Draw) ([]quantizer.Frozen, error) {
	frozen, err := f.Quantizer.Freeze(ctx, draw)
	if f.name == "short" {
		frozen[0].Values = frozen[0].Values[1:]
	}
	return frozen, err
}

// noise is what a plugin might print to take over the terminal.
var noise = "line one\nline two\x1b[2J\xff" + strings.Repeat("!", 100_000)

// truncateArena cuts short every arena that this process has mapped.
func truncateArena(f *faulty) error {
	maps, err := os.ReadFile("/proc/self/maps")
	if err != nil {
		return err
	}
	for line := range strings.Lines(string(maps)) {
		if at := strings.IndexByte(line, '/'); at >= 0 && strings.Contains(line, "/bittern-arena-") {
			if err := os.Truncate(strings.TrimSpace(line[at:]), 0); err != nil {
				return err
			}
		}
	}
	fmt.Fprintf(os.Stderr, "\x1b[31mall\tgone\r\n")
	return nil
}

func writeNaN(f *faulty) error {
	f.weights[0].Quantized[4] = float32(math.NaN())
	return nil
}

// hoard allocates two gigabytes in pieces. It does not write to them, so they take no memory.
func hoard(f *faulty) error {
	for range 32 {
		f.hoard = append(f.hoard, make([]byte, 64<<20))
	}
	return nil
}

func panicOnce(f *faulty) error {
	if f.calls == 1 {
		panic("index out of luck")
	}
	return nil
}

func panicOutside(*faulty) error {
	go func() { panic("nobody recovers this") }()
	select {}
}

func printALot(*faulty) error {
	for i := range 100 {
		fmt.Println("line", i) // to stdout, which no longer leads to the host
	}
	return errors.New("enough said")
}

// stdout is the process's stdout; while a plugin is served, os.Stdout is another file.
var stdout = os.Stdout

// printPast prints to the file descriptor itself, as a plugin in C or Python does: a line that
// is longer than go-plugin reads, and another.
func printPast(*faulty) error {
	_, err := stdout.WriteString(strings.Repeat("x", 100_000) + "\nand the end\n")
	return errors.Join(err, errors.New("enough said"))
}

// unsupporting is a backend that executes nothing.
type unsupporting struct{ backend.Backend }

func (unsupporting) Execute(context.Context, backend.Execute) (network.Score, error) {
	return network.Score{}, &backend.ErrUnsupported{Reason: "it has no arithmetic unit"}
}
