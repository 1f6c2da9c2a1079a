package cluster

import (
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"

	"bittern/harness/experiment"
)

// stored lists the files at the server, in their order.
func stored(t *testing.T, c *Cluster) (names []string) {
	t.Helper()
	files, err := c.filesByExperiment(t.Context())
	must(t, err)
	for _, list := range files {
		names = append(names, list...)
	}
	slices.Sort(names)
	return names
}

// What a worker that was killed between a file and its record has left is removed when the suite
// is gathered; what a worker may still name, what a record names and what belongs to others stays.
func TestOrphansAreRemoved(t *testing.T) {
	t.Parallel()
	specs := prepare(t, "1,2,3", 0)
	server := startTestServer(t)
	c := connect(t, server.URL())
	var ids []string
	for _, s := range specs {
		row, err := s.Row()
		must(t, err)
		ids = append(ids, row.ID)
	}
	upload := func(id string) string {
		f, err := c.upload(t.Context(), id+"/last/orphan", []byte("tensors"), nil)
		must(t, err)
		return f.Name
	}
	// The first is finished, the second is being run, and of the third the server knows nothing.
	orphan := upload(ids[0])
	startWorker(t, server.URL())
	remotely(t, server.URL(), specs[:1], ignore)
	result := known(t, c, specs[0]).files()
	k, err := c.claim(t.Context(), ids[1], "a worker")
	must(t, err)
	t.Cleanup(k.close)
	underWay, unknown, foreign := upload(ids[1]), upload(ids[2]), upload("another")

	before := append(slices.Clone(result), orphan, underWay, unknown, foreign)
	slices.Sort(before)
	if diff := cmp.Diff(before, stored(t, c)); diff != "" {
		t.Fatalf("the files before differ (-want +got):\n%s", diff)
	}
	r := NewRemote(t.Context(), c, openRuns(t), false, func(string) {})
	must(t, r.Sweep(t.Context(), specs))
	want := append(slices.Clone(result), underWay, foreign)
	slices.Sort(want)
	if diff := cmp.Diff(want, stored(t, c)); diff != "" {
		t.Errorf("the files after the sweep differ (-want +got):\n%s", diff)
	}
	compare(t, alone(t, specs[:1]), remotely(t, server.URL(), specs[:1], func(*experiment.Spec, experiment.Progress) {}), specs[:1])
}

// A file that was listed is kept if its record came meanwhile.
func TestAFileThatIsNamedMeanwhileIsKept(t *testing.T) {
	t.Parallel()
	c := connect(t, startTestServer(t).URL())
	k, err := c.claim(t.Context(), "one", "a worker")
	must(t, err)
	t.Cleanup(k.close)
	f, err := k.upload(t.Context(), "program", []byte("content"), nil)
	must(t, err)
	files, err := c.filesByExperiment(t.Context())
	must(t, err)
	must(t, k.change(func() error {
		k.next.State, k.next.Artifact = finished, &artifactFiles{Program: f, Tensors: f}
		return nil
	}))
	must(t, k.flush(t.Context()))
	must(t, c.sweep(t.Context(), "one", files["one"]))
	if got := stored(t, c); !slices.Equal(got, []string{f.Name}) {
		t.Errorf("the files are %v, want the one that the record names", got)
	}
}
