package host_test

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"bittern/internal/arena"
	"bittern/internal/conformance/checktest"
	"bittern/internal/conformance/process"
	"bittern/internal/host"
	"bittern/internal/null"
	"bittern/internal/testexec"
	"bittern/plugins"
	"bittern/plugins/backend"
	"bittern/plugins/quantizer"
)

// newCatalogue returns a catalogue of all plugins that the test binary serves.
func newCatalogue(t testing.TB, folder string) *host.Catalogue {
	t.Helper()
	var ids []plugins.ID
	for id := range served {
		kind, name, _ := strings.Cut(id, "/")
		ids = append(ids, plugins.ID{Kind: plugins.Kind(kind), Name: name})
	}
	catalogue, err := host.NewCatalogue(ids, folder)
	if err != nil {
		t.Fatal(err)
	}
	return catalogue
}

func newArena(t testing.TB) *arena.Arena {
	t.Helper()
	shared, err := arena.Create("", 0)
	if err != nil {
		t.Fatal(err)
	}
	closeAfter(t, shared)
	return shared
}

func closeAfter(t testing.TB, closer io.Closer) {
	t.Cleanup(func() {
		if err := closer.Close(); err != nil {
			t.Error(err)
		}
	})
}

func newWeight(t testing.TB, shared *arena.Arena, rows, cols int) quantizer.Weight {
	t.Helper()
	w := quantizer.Weight{Shape: quantizer.Shape{Name: "w", Rows: rows, Cols: cols}}
	for _, tensor := range []*[]float32{&w.Latent, &w.Quantized, &w.Grad} {
		slice, err := arena.Make[float32](shared, rows, cols)
		if err != nil {
			t.Fatal(err)
		}
		*tensor = slice
	}
	for i := range w.Latent {
		w.Latent[i] = float32(i)
	}
	return w
}

// patience is the deadline of a plugin that hangs, in which it must still do what comes
// before that on a busy machine.
const patience = 3 * time.Second

// open starts a quantizer and gives it one weight of 3 × 5.
func open(t *testing.T, name string, settings host.Settings) (*host.Quantizer, quantizer.Weight) {
	t.Helper()
	if settings.Arena == nil {
		settings.Arena = newArena(t)
	}
	q, err := newCatalogue(t, "").Quantizer(t.Context(), name, settings)
	if err != nil {
		t.Fatalf("start quantizer/%s: %v", name, err)
	}
	closeAfter(t, q)
	w := newWeight(t, settings.Arena, 3, 5)
	if err := q.Open(t.Context(), nil, []quantizer.Weight{w}); err != nil {
		t.Fatalf("Open: %v", err)
	}
	return q, w
}

func TestConformanceThroughProcesses(t *testing.T) {
	t.Parallel()
	catalogue := newCatalogue(t, "")
	for kind, options := range map[plugins.Kind]plugins.Values{
		plugins.KindQuantizer: nil, plugins.KindModel: {"units": "3"}, plugins.KindBackend: nil,
	} {
		t.Run(string(kind), func(t *testing.T) {
			t.Parallel()
			checktest.Run(t, &checktest.Refusals{}, process.Groups(catalogue, plugins.ID{Kind: kind, Name: null.Name}, options))
		})
	}
}

func TestWhatAPluginWritesIsSeenHere(t *testing.T) {
	t.Parallel()
	q, w := open(t, null.Name, host.Settings{})
	if err := q.Quantize(t.Context(), quantizer.Draw{}); err != nil {
		t.Fatal(err)
	}
	for i, got := range w.Quantized {
		if want := float32(i); got != want {
			t.Errorf("Quantized[%d] = %v, want %v", i, got, want)
		}
	}
}

// TestFailures calls each broken plugin until the call at which it breaks.
func TestFailures(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name    string
		reason  host.Reason
		detail  string // part of Detail
		stderr  string // part of Stderr
		goesOn  bool   // the process serves the next call
		settled host.Settings
	}{
		{name: "exits", reason: host.Crashed, detail: "exit status 3", stderr: "on the way to exits"},
		{name: "panics", reason: host.Fault, detail: "index out of luck", stderr: "faulty_test.go", goesOn: true},
		{name: "panics-outside", reason: host.Crashed, detail: "exit status 2", stderr: "nobody recovers this"},
		{name: "hangs", reason: host.Deadline, detail: "no answer within " + patience.String(), stderr: "on the way to hangs", settled: host.Settings{Deadline: patience}},
		{name: "fails", reason: host.Fault, detail: "the weights are upside down", stderr: "on the way to fails", goesOn: true},
		{name: "nan", reason: host.Nonsense, detail: "w at row 0, column 4 is NaN, from the latent 4", goesOn: true},
		{name: "prints-past", reason: host.Fault, detail: "enough said", stderr: "and the end", goesOn: true},
		{name: "prints", reason: host.Fault, detail: "enough said", stderr: "line 99", goesOn: true},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			q, _ := open(t, test.name, test.settled)
			err := q.Quantize(t.Context(), quantizer.Draw{})
			failure, ok := errors.AsType[*host.Failure](err)
			if !ok {
				t.Fatalf("Quantize = %v, want a *host.Failure", err)
			}
			if failure.Reason != test.reason || failure.Call != "Quantize" || failure.Plugin != (plugins.ID{Kind: plugins.KindQuantizer, Name: test.name}) {
				t.Errorf("failure = %+v, want the reason %s in Quantize of quantizer/%s", failure, test.reason, test.name)
			}
			if !strings.Contains(failure.Detail, test.detail) {
				t.Errorf("Detail = %q, want %q in it", failure.Detail, test.detail)
			}
			if !strings.Contains(failure.Stderr, test.stderr) {
				t.Errorf("Stderr = %q, want %q in it", failure.Stderr, test.stderr)
			}
			if lines := strings.Count(failure.Stderr, "\n") + 1; lines > 41 {
				t.Errorf("Stderr has %d lines, want the last 40", lines)
			}
			if strings.Contains(err.Error(), "\n") {
				t.Errorf("the error is %q, want one line", err)
			}
			err = q.Project(t.Context())
			if test.goesOn && err != nil {
				t.Errorf("Project after a %s = %v, want it served", test.reason, err)
			}
			if failure, ok := errors.AsType[*host.Failure](err); !test.goesOn && (!ok || failure.Reason != host.Crashed) {
				t.Errorf("Project after a %s = %v, want a failure that says crashed", test.reason, err)
			}
		})
	}
}

func TestNonsenseFromFreeze(t *testing.T) {
	t.Parallel()
	q, _ := open(t, "short", host.Settings{})
	_, err := q.Freeze(t.Context(), quantizer.Draw{})
	failure, ok := errors.AsType[*host.Failure](err)
	if !ok || failure.Reason != host.Nonsense || !strings.Contains(failure.Detail, "14 values for a 3×5 matrix") {
		t.Errorf("Freeze = %v, want nonsense that says 14 values for a 3×5 matrix", err)
	}
}

func TestProblemsCrossAsThemselves(t *testing.T) {
	t.Parallel()
	q, _ := open(t, "refuses", host.Settings{})
	err := q.Quantize(t.Context(), quantizer.Draw{})
	if problem, ok := errors.AsType[*plugins.Problem](err); !ok || problem.Sentence != "give it fewer weights" {
		t.Errorf("Quantize = %v, want the problem that the plugin gave", err)
	}
	b, err := newCatalogue(t, "").Backend(t.Context(), null.Name, host.Settings{})
	if err != nil {
		t.Fatal(err)
	}
	closeAfter(t, b)
	_, err = b.Execute(t.Context(), backend.Execute{})
	if refusal, ok := errors.AsType[*backend.ErrUnsupported](err); !ok || refusal.Reason != "it has no arithmetic unit" {
		t.Errorf("Execute = %v, want the refusal that the plugin gave", err)
	}
}

func TestOptionsAreResolvedBeforeThePluginSeesThem(t *testing.T) {
	t.Parallel()
	q, w := open(t, "fails", host.Settings{})
	for _, test := range []struct {
		given   plugins.Values
		state   string
		problem string
	}{
		{nil, "scale=0.5", ""},
		{plugins.Values{"scale": "0.25"}, "scale=0.25", ""},
		{plugins.Values{"scale": "2"}, "", `quantizer/fails: option scale = "2" must be between 0 and 1`},
		{plugins.Values{"scael": "1"}, "", `quantizer/fails has no option "scael", did you mean "scale"?; its options are scale`},
	} {
		states, err := q.Plan(t.Context(), test.given, []quantizer.Shape{w.Shape})
		if test.problem != "" {
			if problem, ok := errors.AsType[*plugins.Problem](err); !ok || problem.Sentence != test.problem {
				t.Errorf("Plan(%v) = %v, want the problem %s", test.given, err, test.problem)
			}
			continue
		}
		if err != nil || states[0].Name != test.state {
			t.Errorf("Plan(%v) = %v, %v, want the state %s", test.given, states, err, test.state)
		}
	}
}

// TestStart checks what a user reads if a plugin cannot be used at all.
func TestStart(t *testing.T) {
	t.Parallel()
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	newer := fmt.Sprintf("speaks version %d of the plugin contract, this bittern version %d; rebuild the plugin against this bittern or install the bittern it was built for", plugins.APIVersion+1, plugins.APIVersion)
	for name, want := range map[string]string{
		"misnamed":    "quantizer/misnamed (" + self + ") calls itself quantizer/somebody-else; rename the executable or mend its description",
		"newer":       "quantizer/newer " + newer,
		"wrong-kind":  "quantizer/wrong-kind (" + self + ") does not serve a quantizer; rename it bittern-<kind>-<name> after the kind it serves",
		"garbage":     "quantizer/garbage (" + self + `) is no bittern plugin: it printed "hello, world" in place of the handshake; serve it with bittern/plugins/sdk, and print nothing to stdout before that`,
		"newer-shake": "quantizer/newer-shake (" + self + ") " + newer,
		"nul":         `there is no quantizer named "nul", did you mean "null"?; there are `,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			_, err := newCatalogue(t, "").Quantizer(t.Context(), name, host.Settings{})
			if problem, ok := errors.AsType[*plugins.Problem](err); !ok || !strings.HasPrefix(problem.Sentence, want) {
				t.Errorf("error %v, want the problem %s", err, want)
			}
		})
	}
	t.Run("never starts", func(t *testing.T) {
		t.Parallel()
		_, err := newCatalogue(t, "").Quantizer(t.Context(), "never-starts", host.Settings{})
		failure, ok := errors.AsType[*host.Failure](err)
		if !ok || failure.Reason != host.Crashed || failure.Detail != `exit status 7; its last words: "no licence found"` || failure.Stderr != "no licence found" {
			t.Errorf("error %#v, want a crash with exit status 7 and what it wrote to stderr", err)
		}
	})
	t.Run("no such kind", func(t *testing.T) {
		t.Parallel()
		_, err := newCatalogue(t, "").Describe(t.Context(), plugins.ID{Kind: "optimiser", Name: "null"}, host.Settings{})
		if want := `there is no kind of plugin "optimiser"; the kinds are quantizer, model and backend`; err == nil || err.Error() != want {
			t.Errorf("error %v, want %s", err, want)
		}
	})
}

// TestExternal finds and starts plugins by the names of their executables.
func TestExternal(t *testing.T) {
	t.Parallel()
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	folder := t.TempDir()
	for _, name := range []string{"fails", "null"} {
		if err := os.Symlink(self, filepath.Join(folder, "bittern-quantizer-"+name)); err != nil {
			t.Skipf("external plugins not tried: %v", err)
		}
	}
	for _, decoy := range []string{"bittern-quantizer-plain", "bittern-optimiser-x", "bittern-quantizer-", "quantizer-x"} {
		if err := os.WriteFile(filepath.Join(folder, decoy), nil, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	catalogue, err := host.NewCatalogue([]plugins.ID{{Kind: plugins.KindQuantizer, Name: null.Name}}, folder)
	if err != nil {
		t.Fatal(err)
	}
	entries, err := catalogue.List()
	if err != nil {
		t.Fatal(err)
	}
	got := fmt.Sprintf("%#v", entries)
	want := fmt.Sprintf("%#v", []host.Entry{
		{ID: plugins.ID{Kind: plugins.KindQuantizer, Name: "fails"}, Path: filepath.Join(folder, "bittern-quantizer-fails")},
		{ID: plugins.ID{Kind: plugins.KindQuantizer, Name: "null"}, Path: self, Builtin: true},
		{ID: plugins.ID{Kind: plugins.KindQuantizer, Name: "null"}, Path: filepath.Join(folder, "bittern-quantizer-null"), HiddenBy: self},
		{ID: plugins.ID{Kind: plugins.KindQuantizer, Name: "plain"}, Path: filepath.Join(folder, "bittern-quantizer-plain"), Problem: "the file is not executable; allow it with chmod +x, or give it another name"},
	})
	if got != want {
		t.Errorf("List = %s\nwant   %s", got, want)
	}

	file, err := os.ReadFile(self)
	if err != nil {
		t.Fatal(err)
	}
	sum := fmt.Sprintf("%x", sha256.Sum256(file))
	for name, want := range map[string]string{"fails": sum, "null": ""} {
		got, err := catalogue.Checksum(t.Context(), plugins.ID{Kind: plugins.KindQuantizer, Name: name})
		if got != want || err != nil {
			t.Errorf("Checksum of %s = %q, %v, want %q", name, got, err, want)
		}
	}
	q, err := catalogue.Quantizer(t.Context(), "fails", host.Settings{SHA256: sum})
	if err != nil {
		t.Fatalf("start with the right checksum: %v", err)
	}
	closeAfter(t, q)
	if got := q.Description().Name; got != "fails" {
		t.Errorf("Description().Name = %q, want fails", got)
	}
	_, err = catalogue.Quantizer(t.Context(), "plain", host.Settings{})
	if problem, ok := errors.AsType[*plugins.Problem](err); !ok || !strings.Contains(problem.Sentence, "bittern-quantizer-plain) cannot be started: the file is not executable") {
		t.Errorf("start of a file that is not executable = %v, want a problem that says so", err)
	}
	path := filepath.Join(folder, "bittern-quantizer-fails")
	for checksum, want := range map[string]string{
		strings.Repeat("0", 64): fmt.Sprintf("quantizer/fails (%s) has the SHA-256 %s, but the suite asks for %s; install that version or change the suite", path, sum, strings.Repeat("0", 64)),
		"cafe":                  `the checksum "cafe" of quantizer/fails is no SHA-256; give 64 hexadecimal digits`,
	} {
		_, err := catalogue.Quantizer(t.Context(), "fails", host.Settings{SHA256: checksum})
		if problem, ok := errors.AsType[*plugins.Problem](err); !ok || problem.Sentence != want {
			t.Errorf("with the checksum %s: error %v, want the problem %s", checksum, err, want)
		}
	}
}

func TestNotExecutable(t *testing.T) {
	t.Parallel()
	folder := t.TempDir()
	path := filepath.Join(folder, "bittern-quantizer-text")
	testexec.Write(t, path, []byte("just text"))
	catalogue, err := host.NewCatalogue(nil, folder)
	if err != nil {
		t.Fatal(err)
	}
	_, err = catalogue.Quantizer(t.Context(), "text", host.Settings{})
	if problem, ok := errors.AsType[*plugins.Problem](err); !ok || !strings.Contains(problem.Sentence, "check that "+path+" is an executable for this machine") {
		t.Errorf("error %v, want a problem that says to check %s", err, path)
	}
}

// TestCancel checks that a call ends with the caller's context, that this is not the plugin's
// failure, and that Close does not wait for a call that never returns.
func TestCancel(t *testing.T) {
	t.Parallel()
	q, _ := open(t, "hangs", host.Settings{})
	ctx, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
	defer cancel()
	err := q.Quantize(ctx, quantizer.Draw{})
	if _, ok := errors.AsType[*host.Failure](err); ok || !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("Quantize = %v, want the end of the caller's context", err)
	}
	if err := q.Close(); err != nil {
		t.Errorf("Close: %v", err)
	}
	if err := q.Project(t.Context()); err == nil || err.Error() != "quantizer/hangs: Project: the plugin is closed" {
		t.Errorf("Project after Close = %v, want it to say that the plugin is closed", err)
	}
}

func TestCancelledStart(t *testing.T) {
	t.Parallel()
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	_, err := newCatalogue(t, "").Quantizer(ctx, null.Name, host.Settings{})
	if !errors.Is(err, context.Canceled) {
		t.Errorf("start = %v, want context.Canceled", err)
	}
}

func TestTensorsMustLieInTheArena(t *testing.T) {
	t.Parallel()
	q, w := open(t, null.Name, host.Settings{})
	w.Latent = make([]float32, len(w.Latent))
	if err := q.Open(t.Context(), nil, []quantizer.Weight{w}); !errors.Is(err, arena.ErrOutside) {
		t.Errorf("Open with a slice of this process's own = %v, want arena.ErrOutside", err)
	}
}

func TestNothingIsLeftBehind(t *testing.T) {
	t.Parallel()
	folder := t.TempDir()
	shared, err := arena.Create(folder, 0)
	if err != nil {
		t.Fatal(err)
	}
	q, _ := open(t, null.Name, host.Settings{Arena: shared})
	if _, err := q.Freeze(t.Context(), quantizer.Draw{}); err != nil {
		t.Fatal(err)
	}
	if err := errors.Join(q.Close(), shared.Close()); err != nil {
		t.Error(err)
	}
	left, err := os.ReadDir(folder)
	if err != nil {
		t.Fatal(err)
	}
	if len(left) > 0 {
		t.Errorf("%d files are left in the arena's folder, first %s; want none", len(left), left[0].Name())
	}
}

func TestStderrIsPassedOnAsItComes(t *testing.T) {
	t.Parallel()
	var log safeBuilder
	q, _ := open(t, "fails", host.Settings{Output: &log})
	if err := q.Quantize(t.Context(), quantizer.Draw{}); err == nil {
		t.Fatal("Quantize of the plugin that fails = nil, want its error")
	}
	if err := q.Close(); err != nil {
		t.Fatal(err)
	}
	if got, want := log.String(), "on the way to fails\n"; got != want {
		t.Errorf("stderr = %q, want %q", got, want)
	}
}

// safeBuilder is a strings.Builder that one goroutine may write while another reads it.
type safeBuilder struct {
	mu      sync.Mutex
	builder strings.Builder
}

func (s *safeBuilder) Write(p []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.builder.Write(p)
}

func (s *safeBuilder) String() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.builder.String()
}

func TestPluginFolderMustBeThere(t *testing.T) {
	t.Parallel()
	folder := filepath.Join(t.TempDir(), "missing")
	_, err := host.NewCatalogue(nil, folder)
	want := "the plugin folder " + folder + " does not exist; make it, or name the one that holds your plugins"
	if problem, ok := errors.AsType[*plugins.Problem](err); !ok || problem.Sentence != want {
		t.Errorf("NewCatalogue = %v, want the problem %s", err, want)
	}
}

// TestDescribeFails checks that a plugin which cannot describe itself is a problem for the user,
// with the last lines that it printed.
func TestDescribeFails(t *testing.T) {
	t.Parallel()
	for name, want := range map[string]string{
		"hangs-in-describe": `quantizer/hangs-in-describe cannot describe itself (quantizer/hangs-in-describe was killed during Describe: no answer within ` + patience.String() + `; its last words: "still thinking"); mend it or do without it`,
		"never-starts":      `quantizer/never-starts cannot describe itself (quantizer/never-starts crashed during start: exit status 7; its last words: "no licence found"); mend it or do without it`,
	} {
		_, err := newCatalogue(t, "").Describe(t.Context(), plugins.ID{Kind: plugins.KindQuantizer, Name: name}, host.Settings{Deadline: patience})
		if problem, ok := errors.AsType[*plugins.Problem](err); !ok || problem.Sentence != want {
			t.Errorf("Describe of %s = %v, want the problem %s", name, err, want)
		}
	}
}
