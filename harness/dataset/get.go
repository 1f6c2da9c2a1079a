package dataset

import (
	"archive/tar"
	"archive/zip"
	"compress/gzip"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net"
	"net/http"
	"net/url"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"time"

	"bittern/harness/internal/diskfault"
	"bittern/plugins"
)

// Packing says how a download holds the files of a data set.
type Packing string

// The packings. Plain and Gzip hold the source whose name the address ends in; Zip
// and TarGzip hold all sources of the set.
const (
	Plain   Packing = "plain"
	Gzip    Packing = "gzip"
	Zip     Packing = "zip"
	TarGzip Packing = "tar.gz"
)

// Download is a canonical address of data. Whatever it sends, only content with
// the checksums of the sources is placed.
type Download struct {
	URL     string  `json:"url"`
	Bytes   int64   `json:"bytes"`
	SHA256  string  `json:"sha256,omitempty"` // of the download as sent, where known
	Packing Packing `json:"packing"`

	// Inside is the folder of the sources within an archive.
	Inside string `json:"inside,omitempty"`
}

// held returns the sources that a download holds.
func (s Set) held(d Download) []Source {
	if d.Packing == Zip || d.Packing == TarGzip {
		return s.Sources
	}
	name := strings.TrimSuffix(path.Base(d.URL), ".gz")
	return slices.DeleteFunc(slices.Clone(s.Sources), func(f Source) bool { return path.Base(f.Path) != name })
}

// GetRequest names what to fetch.
type GetRequest struct {
	Name    string
	DataDir string

	// From is an address of a mirror that holds the files under their canonical
	// names; empty means the canonical addresses.
	From string

	// Progress is called with the number of bytes of a download that are there, from
	// its beginning to its end. It may be nil.
	Progress func(file string, done, total int64)
}

// Get fetches the files of a data set that the data directory lacks or holds
// damaged, and returns the paths of those it placed. A file appears under its name
// only when it is whole and has its checksum. What arrived of an interrupted
// download is kept beside it, in a file that ends in ".part", and the next Get goes on
// from there.
func Get(ctx context.Context, request GetRequest) (placed []string, err error) {
	set, err := Find(request.Name)
	if err != nil {
		return nil, err
	}
	return defaultFetcher.get(ctx, set, request)
}

// fetcher downloads with its limits.
type fetcher struct {
	idle     time.Duration // without any data, after which a connection is given up
	attempts int           // in a row that bring no data, after which a download is given up
	pause    time.Duration // between attempts
}

var defaultFetcher = fetcher{idle: time.Minute, attempts: 3, pause: time.Second}

const (
	maxRedirects = 5

	// maxUnpacked bounds what an archive may unfold to, in bytes.
	maxUnpacked = 1 << 30
)

func (f fetcher) get(ctx context.Context, set Set, request GetRequest) (placed []string, err error) {
	switch {
	case set.Status == Generated || set.Status == Toolchain || len(set.Sources) == 0 && set.Described == "":
		return nil, plugins.Problemf("data set %s needs no files; use it as it is", set.Name)
	case request.DataDir == "":
		return nil, plugins.Problemf("name the folder to put data set %s into with --data", set.Name)
	case len(set.Downloads) == 0:
		return nil, plugins.Problemf("data set %s has no address that it can be fetched from; its publisher describes it at %s; %s",
			set.Name, set.Described, set.byHand(request.DataDir))
	}
	base, err := mirror(request.From)
	if err != nil {
		return nil, err
	}
	for _, d := range set.Downloads {
		var wanted []Source
		for _, source := range set.held(d) {
			if err := ctx.Err(); err != nil {
				return placed, err
			}
			if _, _, err := set.read(request.DataDir, source); err != nil {
				wanted = append(wanted, source)
			}
		}
		if len(wanted) == 0 {
			continue
		}
		address := d.URL
		if base != nil {
			address = base.JoinPath(path.Base(d.URL)).String()
		}
		paths, err := f.download(ctx, set, d, address, wanted, request)
		placed = append(placed, paths...)
		if err != nil {
			return placed, err
		}
	}
	return placed, nil
}

func mirror(address string) (*url.URL, error) {
	if address == "" {
		return nil, nil
	}
	base, err := url.Parse(address)
	if err != nil || base.Scheme != "http" && base.Scheme != "https" || base.Host == "" {
		return nil, plugins.Problemf("%q is no address of a mirror; write one such as https://example.org/data/", address)
	}
	return base, nil
}

// byHand says how a user places the files without this program.
func (s Set) byHand(dataDir string) string {
	var files []string
	for _, source := range s.Sources {
		algorithm, pin := source.pin()
		files = append(files, fmt.Sprintf("%s (%d bytes, %s %s)", filepath.Join(dataDir, filepath.FromSlash(source.Path)), source.Bytes, algorithm, pin))
	}
	what := "place " + s.ByHand
	switch {
	case len(files) == 0:
		return what + " as " + filepath.Join(dataDir, filepath.FromSlash(cnnFolder))
	case len(files) > 4:
		return fmt.Sprintf("%s, the %d files in %s that `bittern data list --format json` names with sizes and SHA-256",
			what, len(files), filepath.Join(dataDir, filepath.FromSlash(path.Dir(s.Sources[0].Path))))
	}
	return what + " as " + strings.Join(files, ", ")
}

// download fetches one address and places the wanted sources from it.
func (f fetcher) download(ctx context.Context, set Set, d Download, address string, wanted []Source, request GetRequest) (placed []string, err error) {
	folder := filepath.Join(request.DataDir, filepath.FromSlash(path.Dir(wanted[0].Path)))
	if err := os.MkdirAll(folder, 0o755); err != nil {
		return nil, unwritable(err, folder)
	}
	part := filepath.Join(folder, path.Base(d.URL)+".part")
	if err := f.fetch(ctx, set, d, address, part, request); err != nil {
		return nil, err
	}
	placed, err = d.place(ctx, wanted, part, request.DataDir)
	if mismatch, ok := errors.AsType[*mismatch](err); ok {
		if err := os.Remove(part); err != nil {
			return nil, unwritable(err, part)
		}
		return nil, plugins.Problemf("data set %s: %s; nothing was placed; try again later, or %s", set.Name, mismatch.told(address), set.byHand(request.DataDir))
	}
	if err != nil {
		return placed, err
	}
	if err := os.Remove(part); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return placed, unwritable(err, part)
	}
	return placed, nil
}

// mismatch is what an address sent in place of what was expected.
type mismatch struct{ what string }

func (m *mismatch) Error() string              { return m.what }
func (m *mismatch) told(address string) string { return address + " sent " + m.what }

// fetch brings the file part to the size of the download, from where it is.
func (f fetcher) fetch(ctx context.Context, set Set, d Download, address, part string, request GetRequest) error {
	file, err := os.OpenFile(part, os.O_RDWR|os.O_CREATE, 0o644)
	if err != nil {
		return unwritable(err, part)
	}
	defer file.Close()
	transport := http.DefaultTransport.(*http.Transport).Clone()
	transport.DisableCompression = true // the pins are of what is sent
	transport.ResponseHeaderTimeout = f.idle
	defer transport.CloseIdleConnections()
	client := &http.Client{Transport: transport, CheckRedirect: checkRedirect}

	offset, err := file.Seek(0, io.SeekEnd)
	if err == nil && offset > d.Bytes {
		offset, err = 0, file.Truncate(0)
	}
	if err != nil {
		return unwritable(err, part)
	}
	failures := 0
	for offset < d.Bytes {
		before := offset
		offset, err = f.piece(ctx, client, d, address, file, offset, request.Progress)
		if ctx.Err() != nil {
			return context.Cause(ctx)
		}
		if err == nil {
			continue
		}
		if _, ok := errors.AsType[*plugins.Problem](err); ok {
			return err
		}
		if failures++; offset > before {
			failures = 0
		}
		if refused, ok := errors.AsType[*refusal](err); failures >= f.attempts || ok && refused.final {
			kept := ""
			if offset > 0 {
				kept = fmt.Sprintf("; the %d bytes that arrived are kept, and the same command goes on from there", offset)
			}
			return plugins.Problemf("data set %s could not be fetched from %s: %s%s; or %s", set.Name, address, network(err), kept, set.byHand(request.DataDir))
		}
		select {
		case <-ctx.Done():
			return context.Cause(ctx)
		case <-time.After(f.pause):
		}
	}
	if err := file.Sync(); err != nil {
		return unwritable(err, part)
	}
	return nil
}

// refusal is an answer of a server without the data; a final one is not asked
// for again.
type refusal struct {
	what  string
	final bool
}

func (r *refusal) Error() string { return r.what }

func checkRedirect(request *http.Request, via []*http.Request) error {
	if len(via) > maxRedirects {
		return &refusal{fmt.Sprintf("it was redirected more than %d times", maxRedirects), true}
	}
	if via[0].URL.Scheme == "https" && request.URL.Scheme != "https" {
		return &refusal{"it was redirected from https to " + request.URL.Scheme, true}
	}
	return nil
}

// network is a network error without the address, which the sentence names.
func network(err error) error {
	if wrapped, ok := errors.AsType[*url.Error](err); ok {
		err = wrapped.Err
	}
	if name, ok := errors.AsType[*net.DNSError](err); ok {
		return fmt.Errorf("there is no network, or %s is not known in it (%w)", name.Name, err)
	}
	return err
}

// piece asks for the download from an offset on and appends what comes to the file.
// It returns the offset it got to.
func (f fetcher) piece(ctx context.Context, client *http.Client, d Download, address string, file *os.File, offset int64, progress func(string, int64, int64)) (int64, error) {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, address, nil)
	if err != nil {
		return offset, err
	}
	if offset > 0 {
		request.Header.Set("Range", fmt.Sprintf("bytes=%d-", offset))
	}
	response, err := client.Do(request)
	if err != nil {
		return offset, err
	}
	defer response.Body.Close()
	size := response.ContentLength // -1 where the server does not tell
	switch status := response.StatusCode; {
	case status == http.StatusOK:
		offset = 0 // a server that knows no ranges begins anew
	case status == http.StatusPartialContent:
		var from, to int64
		if _, err := fmt.Sscanf(response.Header.Get("Content-Range"), "bytes %d-%d/", &from, &to); err != nil || from != offset {
			return offset, &refusal{fmt.Sprintf("asked for bytes from %d on, the server sent %q", offset, response.Header.Get("Content-Range")), true}
		}
		if size >= 0 {
			size += offset
		}
	case status == http.StatusRequestedRangeNotSatisfiable:
		// The file there is no longer than what is here: begin anew.
		if err := file.Truncate(0); err != nil {
			return offset, unwritable(err, file.Name())
		}
		return 0, &refusal{"the server answered " + response.Status, false}
	default:
		return offset, &refusal{"the server answered " + response.Status, status < 500 && status != http.StatusTooManyRequests && status != http.StatusRequestTimeout}
	}
	if size >= 0 && size != d.Bytes {
		return offset, &refusal{fmt.Sprintf("the server offers %d bytes, but %d are expected", size, d.Bytes), true}
	}
	if err := file.Truncate(offset); err != nil {
		return offset, unwritable(err, file.Name())
	}
	watchdog := time.AfterFunc(f.idle, func() { cancel(&refusal{fmt.Sprintf("nothing arrived for %s", f.idle), false}) })
	defer watchdog.Stop()
	buffer := make([]byte, 1<<16)
	for {
		n, readErr := response.Body.Read(buffer)
		watchdog.Reset(f.idle)
		if offset+int64(n) > d.Bytes {
			return offset, &refusal{fmt.Sprintf("the server sent more than the %d bytes that are expected", d.Bytes), true}
		}
		if _, err := file.WriteAt(buffer[:n], offset); err != nil {
			return offset, unwritable(err, file.Name())
		}
		offset += int64(n)
		if progress != nil {
			progress(path.Base(d.URL), offset, d.Bytes)
		}
		switch {
		case readErr == io.EOF && offset < d.Bytes:
			return offset, &refusal{fmt.Sprintf("the connection ended after %d of %d bytes", offset, d.Bytes), false}
		case readErr == io.EOF:
			return offset, nil
		case readErr != nil:
			if cause := context.Cause(ctx); cause != nil {
				readErr = cause
			}
			return offset, readErr
		}
	}
}

// place checks a complete download and puts the wanted sources where they belong.
// What the download holds instead of them is a *mismatch, and then nothing was
// placed.
func (d Download) place(ctx context.Context, wanted []Source, part, dataDir string) (placed []string, err error) {
	file, err := os.Open(part)
	if err != nil {
		return nil, unwritable(err, part)
	}
	defer file.Close()
	if d.SHA256 != "" {
		digest := sha256.New()
		if _, err := io.Copy(digest, file); err != nil {
			return nil, unwritable(err, part)
		}
		if found := hex.EncodeToString(digest.Sum(nil)); found != d.SHA256 {
			return nil, &mismatch{fmt.Sprintf("%s with SHA-256 %s, but %s was expected", path.Base(d.URL), found, d.SHA256)}
		}
		if _, err := file.Seek(0, io.SeekStart); err != nil {
			return nil, unwritable(err, part)
		}
	}
	switch d.Packing {
	case Plain, Gzip:
		source := wanted[0]
		// Copied nowhere: the part becomes the file.
		if err := source.check(file, d.Packing == Gzip, io.Discard); err != nil {
			return nil, err
		}
		to := filepath.Join(dataDir, filepath.FromSlash(source.Path))
		other := to + ".gz"
		if d.Packing == Gzip {
			to, other = other, to
		}
		if err := os.Rename(part, to); err != nil {
			return nil, unwritable(err, to)
		}
		return []string{to}, removeOther(other)
	case Zip:
		return d.unzip(ctx, wanted, file, dataDir)
	case TarGzip:
		return d.untar(ctx, wanted, file, dataDir)
	}
	return nil, fmt.Errorf("%s has the unknown packing %q", d.URL, d.Packing)
}

// check copies the content of r to w and compares it with the pin.
func (f Source) check(r io.Reader, compressed bool, w io.Writer) error {
	if compressed {
		unzipped, err := gzip.NewReader(r)
		if err != nil {
			return &mismatch{fmt.Sprintf("no gzip stream for %s (%s)", f.Path, err)}
		}
		r = unzipped
	}
	digest := f.newHash()
	n, err := io.Copy(w, io.TeeReader(io.LimitReader(r, f.Bytes+1), digest))
	if err != nil {
		if _, ok := errors.AsType[*fs.PathError](err); ok {
			return unwritable(err, f.Path)
		}
		return &mismatch{fmt.Sprintf("a damaged %s (%s)", f.Path, err)}
	}
	if n != f.Bytes {
		return &mismatch{fmt.Sprintf("a %s of another length than %d bytes", f.Path, f.Bytes)}
	}
	algorithm, pin := f.pin()
	if found := hex.EncodeToString(digest.Sum(nil)); found != pin {
		return &mismatch{fmt.Sprintf("a %s whose content has %s %s, but %s was expected", f.Path, algorithm, found, pin)}
	}
	return nil
}

// pending is files that are written, but beside their names under temporary ones.
type pending []*os.File

// add writes a source from r.
func (p *pending) add(source Source, r io.Reader, dataDir string) error {
	to := filepath.Join(dataDir, filepath.FromSlash(source.Path))
	if err := os.MkdirAll(filepath.Dir(to), 0o755); err != nil {
		return unwritable(err, to)
	}
	file, err := os.CreateTemp(filepath.Dir(to), "."+filepath.Base(to)+"-")
	if err != nil {
		return unwritable(err, to)
	}
	*p = append(*p, file)
	if err := file.Chmod(0o644); err != nil {
		return unwritable(err, to)
	}
	return source.check(r, false, file)
}

func (p pending) discard() error {
	var errs []error
	for _, file := range p {
		errs = append(errs, file.Close(), os.Remove(file.Name()))
	}
	return errors.Join(errs...)
}

// place puts all files under their names, and removes damaged ones of the other
// form, which would be read first.
func (p pending) place(wanted []Source, dataDir string) (placed []string, err error) {
	for i, file := range p {
		to := filepath.Join(dataDir, filepath.FromSlash(wanted[i].Path))
		if err := file.Sync(); err != nil {
			return placed, errors.Join(unwritable(err, to), p[i:].discard())
		}
		if err := errors.Join(file.Close(), os.Rename(file.Name(), to)); err != nil {
			return placed, errors.Join(unwritable(err, to), os.Remove(file.Name()), p[i+1:].discard())
		}
		placed = append(placed, to)
		if err := removeOther(to + ".gz"); err != nil {
			return placed, errors.Join(err, p[i+1:].discard())
		}
	}
	return placed, nil
}

func removeOther(path string) error {
	if err := os.Remove(path); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return unwritable(err, path)
	}
	return nil
}

func (d Download) unzip(ctx context.Context, wanted []Source, file *os.File, dataDir string) (placed []string, err error) {
	archive, err := zip.NewReader(file, d.Bytes)
	if err != nil {
		return nil, &mismatch{fmt.Sprintf("a damaged archive (%s)", err)}
	}
	var files pending
	for _, source := range wanted {
		if err := ctx.Err(); err != nil {
			return nil, errors.Join(err, files.discard())
		}
		name := d.Inside + path.Base(source.Path)
		member, err := archive.Open(name)
		if err != nil {
			return nil, errors.Join(&mismatch{"an archive without " + name}, files.discard())
		}
		err = files.add(source, member, dataDir)
		if err := errors.Join(err, member.Close()); err != nil {
			return nil, errors.Join(err, files.discard())
		}
	}
	return files.place(wanted, dataDir)
}

func (d Download) untar(ctx context.Context, wanted []Source, file *os.File, dataDir string) (placed []string, err error) {
	unzipped, err := gzip.NewReader(file)
	if err != nil {
		return nil, &mismatch{fmt.Sprintf("no tar.gz archive (%s)", err)}
	}
	archive := tar.NewReader(io.LimitReader(unzipped, maxUnpacked))
	missing := make(map[string]Source)
	for _, source := range wanted {
		missing[d.Inside+path.Base(source.Path)] = source
	}
	var files pending
	var inOrder []Source
	for len(missing) > 0 {
		if err := ctx.Err(); err != nil {
			return nil, errors.Join(err, files.discard())
		}
		header, err := archive.Next()
		if err != nil {
			what := fmt.Sprintf("a damaged archive (%s)", err)
			if err == io.EOF {
				what = fmt.Sprintf("an archive without %d of the %d files", len(missing), len(wanted))
			}
			return nil, errors.Join(&mismatch{what}, files.discard())
		}
		name := path.Clean(header.Name)
		source, ok := missing[name]
		if !ok || header.Typeflag != tar.TypeReg {
			continue
		}
		if err := files.add(source, archive, dataDir); err != nil {
			return nil, errors.Join(err, files.discard())
		}
		delete(missing, name)
		inOrder = append(inOrder, source)
	}
	return files.place(inOrder, dataDir)
}

// unwritable says what to do about a data directory that cannot be written.
func unwritable(err error, path string) error {
	if errors.Is(err, syscall.ENOSPC) || errors.Is(err, syscall.EDQUOT) {
		return diskfault.Full(path)
	}
	return plugins.Problemf("%s cannot be written (%s); make it writable or name another folder with --data", path, reason(err))
}
