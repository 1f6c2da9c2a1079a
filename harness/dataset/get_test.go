package dataset

import (
	"archive/tar"
	"archive/zip"
	"bytes"
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

// quick is a fetcher that does not wait.
var quick = fetcher{idle: 10 * time.Second, attempts: 3, pause: time.Millisecond}

// published is content that a server of the test publishes.
func published(packing Packing, file []byte, sum string, content string) Set {
	return Set{
		Name: "small", Shape: ShapeText, Status: Published, ByHand: "the origin", Described: "its page",
		Sources:   []Source{{Path: "folder/small.txt", Bytes: int64(len(content)), SHA256: digest(content)}},
		Downloads: []Download{{URL: "https://unreachable.invalid/a/small.txt" + map[Packing]string{Gzip: ".gz", Zip: ".zip", TarGzip: ".tar.gz"}[packing], Bytes: int64(len(file)), SHA256: sum, Packing: packing, Inside: map[Packing]string{TarGzip: "inside/"}[packing]}},
	}
}

// files lists what is in a folder, with its content.
func files(t *testing.T, dir string) map[string]string {
	t.Helper()
	found := map[string]string{}
	err := filepath.WalkDir(dir, func(path string, entry os.DirEntry, err error) error {
		if err == nil && entry.Type().IsRegular() {
			content, readErr := os.ReadFile(path)
			name, relErr := filepath.Rel(dir, path)
			found[filepath.ToSlash(name)] = string(content)
			return errors.Join(readErr, relErr)
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return found
}

func serve(t *testing.T, handler http.HandlerFunc) string {
	t.Helper()
	server := httptest.NewServer(handler)
	t.Cleanup(server.Close)
	return server.URL + "/mirror/"
}

// whole serves a file, with ranges.
func whole(file []byte) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		http.ServeContent(w, r, "", time.Time{}, bytes.NewReader(file))
	}
}

const smallText = "some text that is long enough to be cut in the middle"

func tarGzip(t *testing.T, members map[string]string) []byte {
	t.Helper()
	var archive bytes.Buffer
	w := tar.NewWriter(&archive)
	for name, content := range members {
		if err := w.WriteHeader(&tar.Header{Name: name, Typeflag: tar.TypeReg, Mode: 0o600, Size: int64(len(content))}); err != nil {
			t.Fatal(err)
		}
		if _, err := w.Write([]byte(content)); err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return gzipped(t, archive.String())
}

func zipArchive(t *testing.T, members map[string]string) []byte {
	t.Helper()
	var archive bytes.Buffer
	w := zip.NewWriter(&archive)
	for name, content := range members {
		member, err := w.Create(name)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := member.Write([]byte(content)); err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return archive.Bytes()
}

func TestGetUnpacks(t *testing.T) {
	t.Parallel()
	zipped := gzipped(t, smallText)
	tarred := tarGzip(t, map[string]string{"inside/small.txt": smallText, "inside/other.txt": "other", "../../evil.txt": "evil"})
	archived := zipArchive(t, map[string]string{"small.txt": smallText, "../evil.txt": "evil"})
	for packing, test := range map[Packing]struct {
		file  []byte
		place string
		want  string
	}{
		Plain:   {[]byte(smallText), "folder/small.txt", smallText},
		Gzip:    {zipped, "folder/small.txt.gz", string(zipped)},
		Zip:     {archived, "folder/small.txt", smallText},
		TarGzip: {tarred, "folder/small.txt", smallText},
	} {
		t.Run(string(packing), func(t *testing.T) {
			t.Parallel()
			var asked atomic.Int32
			address := serve(t, func(w http.ResponseWriter, r *http.Request) {
				asked.Add(1)
				if !strings.HasPrefix(r.URL.Path, "/mirror/small.txt") {
					t.Errorf("asked for %s", r.URL.Path)
				}
				whole(test.file)(w, r)
			})
			dir := t.TempDir()
			// What lies there damaged, in either form, does not stay in the way.
			write(t, filepath.Join(dir, "folder", "small.txt.gz"), []byte("damaged"))
			write(t, filepath.Join(dir, "folder", "small.txt"), []byte("damaged"))
			set := published(packing, test.file, digest(string(test.file)), smallText)
			var last int64
			request := GetRequest{Name: "small", DataDir: dir, From: address, Progress: func(_ string, done, total int64) {
				if done < last || total != int64(len(test.file)) {
					t.Errorf("progress goes from %d to %d of %d", last, done, total)
				}
				last = done
			}}
			placed, err := quick.get(t.Context(), set, request)
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff([]string{filepath.Join(dir, filepath.FromSlash(test.place))}, placed); diff != "" {
				t.Errorf("placed (-want +got):\n%s", diff)
			}
			if diff := cmp.Diff(map[string]string{test.place: test.want}, files(t, dir)); diff != "" {
				t.Errorf("files (-want +got):\n%s", diff)
			}
			if last != int64(len(test.file)) {
				t.Errorf("progress ended at %d of %d", last, len(test.file))
			}
			if content, _, err := set.read(dir, set.Sources[0]); err != nil || string(content) != smallText {
				t.Errorf("read %q, %v", content, err)
			}
			if placed, err := quick.get(t.Context(), set, request); err != nil || len(placed) != 0 || asked.Load() != 1 {
				t.Errorf("again: placed %q, %v, after %d requests; want nothing fetched twice", placed, err, asked.Load())
			}
		})
	}
}

// The connection is cut over and over, and the program killed between: every
// byte is sent once.
func TestGetResumes(t *testing.T) {
	t.Parallel()
	var mu sync.Mutex
	var ranges []string
	address := serve(t, func(w http.ResponseWriter, r *http.Request) {
		mu.Lock()
		defer mu.Unlock()
		ranges = append(ranges, r.Header.Get("Range"))
		from := 0
		if header := r.Header.Get("Range"); header != "" {
			if _, err := fmt.Sscanf(header, "bytes=%d-", &from); err != nil {
				t.Error(err)
			}
			w.Header().Set("Content-Range", fmt.Sprintf("bytes %d-%d/%d", from, len(smallText)-1, len(smallText)))
		}
		w.Header().Set("Content-Length", fmt.Sprint(len(smallText)-from))
		if from > 0 {
			w.WriteHeader(http.StatusPartialContent)
		}
		to := min(from+20, len(smallText))
		fmt.Fprint(w, smallText[from:to])
		w.(http.Flusher).Flush()
		if to < len(smallText) {
			panic(http.ErrAbortHandler)
		}
	})
	dir := t.TempDir()
	write(t, filepath.Join(dir, "folder", "small.txt.part"), []byte(smallText[:7]))
	set := published(Plain, []byte(smallText), "", smallText)
	if _, err := quick.get(t.Context(), set, GetRequest{DataDir: dir, From: address}); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff([]string{"bytes=7-", "bytes=27-", "bytes=47-"}, ranges); diff != "" {
		t.Errorf("ranges asked for (-want +got):\n%s", diff)
	}
	if diff := cmp.Diff(map[string]string{"folder/small.txt": smallText}, files(t, dir)); diff != "" {
		t.Errorf("files (-want +got):\n%s", diff)
	}
}

func TestGetFromAServerWithoutRanges(t *testing.T) {
	t.Parallel()
	address := serve(t, func(w http.ResponseWriter, _ *http.Request) { fmt.Fprint(w, smallText) })
	dir := t.TempDir()
	write(t, filepath.Join(dir, "folder", "small.txt.part"), []byte("SOMETHING ELSE"))
	set := published(Plain, []byte(smallText), "", smallText)
	if _, err := quick.get(t.Context(), set, GetRequest{DataDir: dir, From: address}); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(map[string]string{"folder/small.txt": smallText}, files(t, dir)); diff != "" {
		t.Errorf("files (-want +got):\n%s", diff)
	}
}

func TestGetRefuses(t *testing.T) {
	t.Parallel()
	wrong := strings.ToUpper(smallText)
	size := len(smallText)
	damagedZip := zipArchive(t, map[string]string{"small.txt": wrong})
	otherZip := zipArchive(t, map[string]string{"large.txt": smallText})
	damagedTar := tarGzip(t, map[string]string{"inside/small.txt": wrong})
	otherTar := tarGzip(t, map[string]string{"outside/small.txt": smallText})
	bomb := gzipped(t, strings.Repeat("0", 1<<20))
	for name, test := range map[string]struct {
		set     Set
		handler http.HandlerFunc
		words   []string
		left    map[string]string // in the folder afterwards
		asked   int32             // number of requests, where it matters
	}{
		"wrong content": {published(Plain, []byte(smallText), "", smallText), whole([]byte(wrong)),
			[]string{"sent a folder/small.txt whose content has SHA-256 " + digest(wrong), digest(smallText) + " was expected", "nothing was placed", "the origin"}, nil, 1},
		"wrong download": {published(Gzip, gzipped(t, smallText), digest("x"), smallText), whole(gzipped(t, smallText)),
			[]string{"sent small.txt.gz with SHA-256", digest("x") + " was expected", "nothing was placed"}, nil, 1},
		"wrong content of gzip": {published(Gzip, gzipped(t, wrong), "", smallText), whole(gzipped(t, wrong)),
			[]string{"content has SHA-256 " + digest(wrong)}, nil, 1},
		"no gzip":   {published(Gzip, []byte(smallText), "", smallText), whole([]byte(smallText)), []string{"no gzip stream"}, nil, 1},
		"gzip bomb": {published(Gzip, bomb, "", smallText), whole(bomb), []string{"another length than 53 bytes"}, nil, 1},
		"no zip":    {published(Zip, []byte(smallText), "", smallText), whole([]byte(smallText)), []string{"damaged archive"}, nil, 1},
		"zip":       {published(Zip, damagedZip, "", smallText), whole(damagedZip), []string{"content has SHA-256 " + digest(wrong)}, nil, 1},
		"other zip": {published(Zip, otherZip, "", smallText), whole(otherZip), []string{"an archive without small.txt"}, nil, 1},
		"no tar":    {published(TarGzip, []byte(smallText), "", smallText), whole([]byte(smallText)), []string{"no tar.gz archive"}, nil, 1},
		"tar":       {published(TarGzip, damagedTar, "", smallText), whole(damagedTar), []string{"content has SHA-256 " + digest(wrong)}, nil, 1},
		"other tar": {published(TarGzip, otherTar, "", smallText), whole(otherTar), []string{"an archive without 1 of the 1 files"}, nil, 1},
		"404": {published(Plain, []byte(smallText), "", smallText), http.NotFound,
			[]string{"could not be fetched from http://127.0.0.1", "404 Not Found", "or place the origin as", fmt.Sprintf("small.txt (%d bytes, SHA-256 %s)", size, digest(smallText))},
			map[string]string{"folder/small.txt.part": ""}, 1},
		"server at fault": {published(Plain, []byte(smallText), "", smallText), func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusBadGateway) },
			[]string{"502 Bad Gateway"}, map[string]string{"folder/small.txt.part": ""}, 3},
		"cut": {published(Plain, []byte(smallText), "", smallText), func(w http.ResponseWriter, r *http.Request) {
			if r.Header.Get("Range") == "" {
				w.Header().Set("Content-Length", fmt.Sprint(size))
				fmt.Fprint(w, smallText[:10])
				w.(http.Flusher).Flush()
			}
			panic(http.ErrAbortHandler)
		}, []string{"the 10 bytes that arrived are kept, and the same command goes on"}, map[string]string{"folder/small.txt.part": smallText[:10]}, 0},
		"announces too much": {published(Plain, []byte(smallText), "", smallText), whole([]byte(smallText + "!")),
			[]string{fmt.Sprintf("the server offers %d bytes, but %d are expected", size+1, size)}, map[string]string{"folder/small.txt.part": ""}, 1},
		"sends too much": {published(Plain, []byte(smallText), "", smallText), func(w http.ResponseWriter, _ *http.Request) {
			w.(http.Flusher).Flush() // so that no length is announced
			for range 1_000 {
				fmt.Fprint(w, smallText)
			}
		}, []string{fmt.Sprintf("more than the %d bytes", size)}, nil, 1},
		"other range": {published(Plain, []byte(smallText), "", smallText), func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Range", "bytes 3-4/53")
			w.WriteHeader(http.StatusPartialContent)
		}, []string{"asked for bytes from 0 on", "bytes 3-4/53"}, map[string]string{"folder/small.txt.part": ""}, 1},
		"redirects for ever": {published(Plain, []byte(smallText), "", smallText), func(w http.ResponseWriter, r *http.Request) {
			http.Redirect(w, r, r.URL.Path, http.StatusFound)
		}, []string{"redirected more than 5 times"}, map[string]string{"folder/small.txt.part": ""}, 1 + maxRedirects},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var asked atomic.Int32
			address := serve(t, func(w http.ResponseWriter, r *http.Request) {
				asked.Add(1)
				test.handler(w, r)
			})
			dir := t.TempDir()
			placed, err := quick.get(t.Context(), test.set, GetRequest{DataDir: dir, From: address})
			wantProblem(t, err, test.words...)
			if len(placed) > 0 {
				t.Errorf("placed %q", placed)
			}
			left := files(t, dir)
			for file := range left {
				if !strings.HasSuffix(file, ".part") {
					t.Errorf("%s was left", file)
				}
			}
			if test.left != nil && !cmp.Equal(test.left, left) || test.words[len(test.words)-1] == "nothing was placed" && len(left) > 0 {
				t.Errorf("left %q, want %q", left, test.left)
			}
			if test.asked > 0 && asked.Load() != test.asked {
				t.Errorf("the server was asked %d times, want %d", asked.Load(), test.asked)
			}
		})
	}
}

// A redirect within the bound is followed.
func TestGetFollowsRedirects(t *testing.T) {
	t.Parallel()
	address := serve(t, func(w http.ResponseWriter, r *http.Request) {
		if n := len(r.URL.Query().Get("n")); n < maxRedirects {
			http.Redirect(w, r, r.URL.Path+"?n="+strings.Repeat("x", n+1), http.StatusFound)
			return
		}
		fmt.Fprint(w, smallText)
	})
	set := published(Plain, []byte(smallText), "", smallText)
	if _, err := quick.get(t.Context(), set, GetRequest{DataDir: t.TempDir(), From: address}); err != nil {
		t.Error(err)
	}
	var https, plain http.Request
	https.URL, plain.URL = mustParse(t, "https://a/"), mustParse(t, "http://a/")
	if err := checkRedirect(&plain, []*http.Request{&https}); err == nil {
		t.Error("a redirect from https to http is followed")
	}
	if err := checkRedirect(&https, []*http.Request{&plain}); err != nil {
		t.Errorf("a redirect from http to https: %v", err)
	}
}

// A server that goes silent is given up, and an interrupt is heard at once.
func TestGetDoesNotHang(t *testing.T) {
	t.Parallel()
	silent := func(begun func()) http.HandlerFunc {
		return func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Content-Length", fmt.Sprint(len(smallText)))
			fmt.Fprint(w, smallText[:3])
			w.(http.Flusher).Flush()
			begun()
			<-r.Context().Done()
		}
	}
	set := published(Plain, []byte(smallText), "", smallText)
	impatient := fetcher{idle: 20 * time.Millisecond, attempts: 1, pause: time.Millisecond}
	_, err := impatient.get(t.Context(), set, GetRequest{DataDir: t.TempDir(), From: serve(t, silent(func() {}))})
	wantProblem(t, err, "could not be fetched")

	ctx, cancel := context.WithCancelCause(t.Context())
	interrupted := errors.New("interrupted")
	dir := t.TempDir()
	_, err = quick.get(ctx, set, GetRequest{DataDir: dir, From: serve(t, silent(func() {})),
		Progress: func(string, int64, int64) { cancel(interrupted) }})
	if !errors.Is(err, interrupted) {
		t.Errorf("got %v, want %v", err, interrupted)
	}
	if diff := cmp.Diff(map[string]string{"folder/small.txt.part": smallText[:3]}, files(t, dir)); diff != "" {
		t.Errorf("files (-want +got):\n%s", diff)
	}
}

func TestGetWithoutANetwork(t *testing.T) {
	t.Parallel()
	const address = "http://127.0.0.1:1" // nobody listens there, unlike perhaps on a port that was just given up
	set := published(Plain, []byte(smallText), "", smallText)
	_, err := quick.get(t.Context(), set, GetRequest{DataDir: t.TempDir(), From: address})
	wantProblem(t, err, "data set small could not be fetched from "+address, "connection refused", "or place the origin as", digest(smallText))
}

func TestVerify(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	write(t, filepath.Join(dir, "mnist", "t10k-labels-idx1-ubyte"), []byte("wrong"))
	write(t, filepath.Join(dir, "warpeace", "warpeace_input.txt.gz"), []byte("no gzip"))
	question(t, filepath.Join(dir, "cnn", "questions", "training"), "a", "@entity0 sat .", 0)
	all, err := Verify(t.Context(), dir)
	if err != nil {
		t.Fatal(err)
	}
	got := map[string]Verified{}
	for _, v := range all {
		got[v.Name] = v
	}
	for name, want := range map[string]struct {
		state     State
		files, of int
		problem   string
	}{
		"mnist":    {Differs, 1, 4, "ff7bcfd416de33731a308c3f266cc351222c34898ecbeaf847f06e48f7ec33f2 was expected"},
		"warpeace": {Differs, 1, 1, "damaged"},
		"cnn-qa":   {Differs, 1, 3, "training holds 1 questions, but 380298"},
		"text8":    {Absent, 0, 1, ""},
		"babi-en":  {Absent, 0, 40, ""},
	} {
		v := got[name]
		problems := strings.Join(v.Problems, "; ")
		if v.State != want.state || v.Files != want.files || v.Of != want.of || !strings.Contains(problems, want.problem) || want.problem == "" && problems != "" {
			t.Errorf("%s: got %+v, want %+v", name, v, want)
		}
	}
	for _, name := range []string{"grammar", "gostd", "delayed-copy", "cnn-qa-standin"} {
		if _, ok := got[name]; ok {
			t.Errorf("%s was checked, though it has no files", name)
		}
	}
	_, err = Verify(t.Context(), filepath.Join(dir, "none"))
	wantProblem(t, err, "none cannot be read")
	_, err = Verify(t.Context(), filepath.Join(dir, "warpeace", "warpeace_input.txt.gz"))
	wantProblem(t, err, "it is no folder")
}

// The published files at hand are all right.
func TestVerifyPublished(t *testing.T) {
	t.Parallel()
	all, err := Verify(t.Context(), dataDir(t))
	if err != nil {
		t.Fatal(err)
	}
	right := 0
	for _, v := range all {
		switch v.State {
		case Right:
			right++
		case Absent:
		default:
			t.Errorf("%+v", v)
		}
	}
	if right < 9 {
		t.Errorf("%d data sets are right, want 9", right)
	}
}

func mustParse(t *testing.T, address string) *url.URL {
	t.Helper()
	parsed, err := url.Parse(address)
	if err != nil {
		t.Fatal(err)
	}
	return parsed
}
