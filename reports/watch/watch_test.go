package watch_test

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"bittern/harness/provenance"
	"bittern/harness/store"
	"bittern/reports"
	"bittern/reports/internal/browser"
	"bittern/reports/watch"
)

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// serve serves a page until the end of the test.
func serve(t *testing.T, options watch.Options) (server *watch.Server, url string) {
	t.Helper()
	listener, err := watch.Listen("127.0.0.1:0")
	must(t, err)
	server = watch.New(options)
	ctx, stop := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- server.Serve(ctx, listener) }()
	t.Cleanup(func() {
		stop()
		if err := <-ended; err != nil {
			t.Errorf("Serve = %v", err)
		}
	})
	return server, "http://" + listener.Addr().String() + "/"
}

func get(t *testing.T, url string) (status int, text string) {
	t.Helper()
	answer, err := http.Get(url)
	must(t, err)
	defer answer.Body.Close()
	body, err := io.ReadAll(answer.Body)
	must(t, err)
	return answer.StatusCode, string(body)
}

// state asks for the state, without the parts whose hashes are known.
func state(t *testing.T, url string, known ...string) watch.State {
	t.Helper()
	status, text := get(t, url+"state?known="+strings.Join(known, "&known="))
	var s watch.State
	if err := json.Unmarshal([]byte(text), &s); err != nil || status != http.StatusOK {
		t.Fatalf("status %d, %v: %s", status, err, text)
	}
	return s
}

// eventually waits until the state of the page has words in one of its parts.
func eventually(t *testing.T, url, part, words string) {
	t.Helper()
	var got string
	for end := time.Now().Add(time.Minute); time.Now().Before(end); time.Sleep(100 * time.Millisecond) {
		if got = state(t, url).Parts[part].HTML; strings.Contains(got, words) {
			return
		}
	}
	t.Fatalf("the part %s has no %q:\n%s", part, words, got)
}

// suite writes the suite "mine" of experiments of these quantizers into a store.
func suite(t *testing.T, runs *store.Store, quantizers ...string) []store.Experiment {
	t.Helper()
	made, err := json.Marshal(provenance.Experiment{Data: "text", PlannedSteps: 100, StepsPerEpoch: 50, SymbolsPerStep: 640,
		Sittings: []provenance.Sitting{{Machine: provenance.Machine{Commit: "0123"}, To: 100}}})
	must(t, err)
	var list []store.Experiment
	for _, name := range quantizers {
		config, err := json.Marshal(map[string]any{"quantizer": map[string]string{"name": name}})
		must(t, err)
		id, canonical, err := store.ID(config)
		must(t, err)
		list = append(list, store.Experiment{ID: id, Config: canonical, Task: "text", Model: "lstm", Quantizer: name, Seed: 1, Metric: "BPC", Provenance: made})
	}
	must(t, runs.PutSuite(t.Context(), "mine", list, []string{"chip"}))
	return list
}

func finish(t *testing.T, runs *store.Store, e store.Experiment, score float64) {
	t.Helper()
	e.Status, e.Steps, e.FrozenModel, e.DeployedBytes, e.FinishedAt = store.Done, 100, &score, int64(1000*score), time.Now()
	must(t, runs.PutExperiment(t.Context(), e))
	must(t, runs.PutDeployment(t.Context(), store.Deployment{Experiment: e.ID, Backend: "chip", Status: store.Done, Metric: &score}))
}

func open(t *testing.T, folder string) *store.Store {
	t.Helper()
	runs, err := store.Open(t.Context(), folder)
	must(t, err)
	t.Cleanup(func() {
		if err := runs.Close(); err != nil {
			t.Error(err)
		}
	})
	return runs
}

// The page waits for a store that does not exist yet, shows one that appears, and one
// that takes its place.
func TestServeFollowsTheStore(t *testing.T) {
	t.Parallel()
	folder := filepath.Join(t.TempDir(), "runs")
	_, url := serve(t, watch.Options{Runs: folder, Suite: "mine", Command: "bittern run --suite mine"})
	status, text := get(t, url)
	if status != http.StatusOK || !strings.Contains(text, "as soon as you run: bittern run --suite mine") {
		t.Errorf("without a store: status %d and\n%s", status, text)
	}
	if _, err := os.Stat(folder); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("the folder of runs: %v, want it not made", err)
	}

	runs := open(t, folder)
	list := suite(t, runs, "none", "<script>alert(1)</script>")
	eventually(t, url, "progress", "0 of 2 experiments done, 2 queued")
	lock, err := runs.Lock(t.Context(), list[0].ID)
	must(t, err)
	running := list[0]
	running.Status, running.StartedAt = store.Running, time.Now()
	must(t, runs.PutExperiment(t.Context(), running))
	steps, err := store.OpenSteps(runs.ExperimentDir(running.ID), 0)
	must(t, err)
	for i := range 30 {
		must(t, steps.Append(store.Step{Step: uint64(i), Loss: 2, Seconds: 0.5}))
	}
	must(t, steps.Close())
	eventually(t, url, "progress", "step 30 of 100")
	if progress := state(t, url).Parts["progress"].HTML; !strings.Contains(progress, ">1280<") || !strings.Contains(progress, "about 35 s") {
		t.Errorf("no speed of 1280 symbols/s with 35 s left in\n%s", progress)
	}
	finish(t, runs, list[0], 1.5)
	must(t, lock.Release())
	eventually(t, url, "results", "1.500")
	failed := list[1]
	failed.Status, failed.Reason = store.Failed, "it <b>crashed</b>"
	must(t, runs.PutExperiment(t.Context(), failed))
	eventually(t, url, "progress", "it &lt;b&gt;crashed&lt;/b&gt;")
	for name, part := range state(t, url).Parts {
		if strings.Contains(part.HTML, "<script") {
			t.Errorf("the part %s has a script:\n%s", name, part)
		}
	}

	// A store that cannot be read is told of, above what was last seen.
	database := filepath.Join(folder, store.FileName)
	must(t, os.Rename(database, database+".kept"))
	must(t, os.WriteFile(database, []byte("no database"), 0o600))
	eventually(t, url, "progress", "is no run store or is damaged")
	if results := state(t, url).Parts["results"].HTML; !strings.Contains(results, "1.500") {
		t.Errorf("the results that were seen before are gone:\n%s", results)
	}
	must(t, os.RemoveAll(folder))
	eventually(t, url, "progress", "There is no run store")
	again := open(t, folder)
	suite(t, again, "other")
	eventually(t, url, "progress", "0 of 1 experiments done, 1 queued")
}

// What has not changed is not sent again, and other paths have nothing.
func TestServeSendsWhatHasChanged(t *testing.T) {
	t.Parallel()
	folder := t.TempDir()
	runs := open(t, folder)
	list := suite(t, runs, "none")
	server, url := serve(t, watch.Options{Runs: folder, Suite: "mine", Entries: []reports.Entry{{Task: "text", Model: "lstm", Quantizer: "none"}}})
	first := state(t, url)
	var known []string
	for name, part := range first.Parts {
		if part.HTML == "" && (name == "head" || name == "progress") { // the others have nothing to say yet
			t.Errorf("the part %s is empty, and nothing of it is known", name)
		}
		known = append(known, part.Hash)
	}
	for name, part := range state(t, url, known...).Parts {
		if part.HTML != "" || part.Hash != first.Parts[name].Hash {
			t.Errorf("the part %s has not changed, and is sent again", name)
		}
	}
	finish(t, runs, list[0], 1.25)
	eventually(t, url, "results", "1.250")
	if part := state(t, url, known...).Parts["results"]; !strings.Contains(part.HTML, "1.250") || part.Hash == first.Parts["results"].Hash {
		t.Errorf("the results have changed, and the part is %+v", part)
	}
	for _, path := range []string{"favicon.ico", "../etc/passwd", "bittern.db"} {
		if status, _ := get(t, url+path); status != http.StatusNotFound {
			t.Errorf("%s: status %d, want 404", path, status)
		}
	}
	rebound, err := http.NewRequest(http.MethodGet, url+"state", nil)
	must(t, err)
	rebound.Host = "evil.example"
	answer, err := http.DefaultClient.Do(rebound)
	must(t, err)
	must(t, answer.Body.Close())
	if answer.StatusCode != http.StatusForbidden {
		t.Errorf("by the name evil.example: status %d, want 403", answer.StatusCode)
	}
	// End waits until the page that is open has been told.
	go server.End()
	for end := time.Now().Add(time.Minute); !state(t, url).Ended; {
		if time.Now().After(end) {
			t.Fatal("the page is not told of the end")
		}
	}
}

// Without a suite the one that was run last is shown, with links to all.
func TestServeChoosesTheLastSuite(t *testing.T) {
	t.Parallel()
	folder := t.TempDir()
	runs := open(t, folder)
	list := suite(t, runs, "none", "coin")
	must(t, runs.PutSuite(t.Context(), "<another>", list[1:], nil))
	finish(t, runs, list[0], 1.5)
	_, url := serve(t, watch.Options{Runs: folder})
	if _, text := get(t, url); !strings.Contains(text, "<h1>mine</h1>") || !strings.Contains(text, `href="?suite=%3canother%3e"`) {
		t.Errorf("want the suite mine and a link to the other:\n%s", text)
	}
	if _, text := get(t, url+"?suite=%3canother%3e"); !strings.Contains(text, "<h1>&lt;another&gt;</h1>") {
		t.Errorf("want the other suite:\n%s", text)
	}
}

// In a browser, the page is brought up to date and keeps sorting, filter, focus and what
// is unfolded.
func TestLivePage(t *testing.T) {
	t.Parallel()
	b := browser.Start(t)
	folder := t.TempDir()
	runs := open(t, folder)
	list := suite(t, runs, "a", "b", "c", "d")
	finish(t, runs, list[0], 3)
	finish(t, runs, list[1], 1)
	server, url := serve(t, watch.Options{Runs: folder, Suite: "mine"})
	tab := b.Open(url, 1280, false)
	tab.Wait(`document.getElementById("status").textContent === "live"`)
	const column = `document.querySelector('#results-1 th[data-column="deployable"] button')`
	const names = `[...document.querySelectorAll("#results-1 tbody tr:not([hidden])")].map((row) => row.dataset.quantizer).join()`
	tab.Eval(column+".click(); "+column+".focus()", nil)
	tab.Eval(`document.querySelector("details").open = true; document.body.dataset.same = "page"`, nil)
	tab.Wait(names + ` === "b,a"`)
	finish(t, runs, list[2], 2)
	tab.Wait(names + ` === "b,c,a"`)
	tab.Wait(`document.activeElement === ` + column)
	tab.Wait(`document.querySelector("details").open && document.body.dataset.same === "page"`)
	tab.Eval(`const f = document.getElementById("find"); f.value = "c"; f.dispatchEvent(new InputEvent("input", {bubbles: true}))`, nil)
	tab.Wait(names + ` === "c"`)
	finish(t, runs, list[3], 4)
	tab.Wait(`document.getElementById("experiments").textContent.match(/done/g).length === 4`)
	tab.Wait(names + ` === "c"`)
	tab.Eval(`document.getElementById("clear").click()`, nil)
	tab.Wait(names + ` === "b,c,a,d"`)
	server.End()
	tab.Wait(`document.getElementById("status").textContent === "the run has ended"`)
	if messages := tab.Messages(); len(messages) > 0 {
		t.Errorf("the console says %q", messages)
	}
}
