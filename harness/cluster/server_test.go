package cluster

import (
	"bytes"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nats-server/v2/server"
)

// startWith starts a server with other settings.
func startWith(t *testing.T, o *server.Options) string {
	t.Helper()
	o.Host, o.Port, o.NoLog, o.NoSigs, o.StoreDir = "127.0.0.1", server.RANDOM_PORT, true, true, t.TempDir()
	s, err := server.NewServer(o)
	must(t, err)
	s.Start()
	t.Cleanup(func() {
		s.Shutdown()
		s.WaitForShutdown()
	})
	if !s.ReadyForConnections(time.Minute) {
		t.Fatal("the server is not ready")
	}
	return s.ClientURL()
}

// with puts a user's name and password into a URL.
func with(url, user string) string { return strings.Replace(url, "//", "//"+user+"@", 1) }

// docs are the subjects that docs/many-machines.md asks for.
var docs = []string{
	"bittern.1.>", "$JS.API.>", "$JS.ACK.>", "$JS.FC.>", "$KV.bittern_1_experiments.>", "$KV.bittern_1_classes.>", "$KV.bittern_1_workers.>", "$O.bittern_1_files.>", "_INBOX.>",
}

// A user with the permissions that the documentation lists can run and work.
func TestTheDocumentedPermissionsAreEnough(t *testing.T) {
	t.Parallel()
	allowed := &server.SubjectPermission{Allow: docs}
	url := with(startWith(t, &server.Options{JetStream: true, Users: []*server.User{
		{Username: "lab", Password: "secret", Permissions: &server.Permissions{Publish: allowed, Subscribe: allowed}},
	}}), "lab:secret")
	startWorker(t, url)
	specs := prepare(t, "3", 0)
	runs := remotely(t, url, specs, ignore)
	compare(t, alone(t, specs), runs, specs)
	must(t, filepath.WalkDir(runs.Dir(), func(path string, entry fs.DirEntry, err error) error {
		if err != nil || entry.IsDir() {
			return err
		}
		content, err := os.ReadFile(path)
		if bytes.Contains(content, []byte("lab:secret")) || bytes.Contains(content, []byte(url)) {
			t.Errorf("%s has the URL with the password", path)
		}
		return err
	}))
}

func TestServersThatCannotBeUsed(t *testing.T) {
	t.Parallel()
	guarded := startWith(t, &server.Options{JetStream: true, Username: "lab", Password: "secret"})
	for _, test := range []struct{ name, url, want string }{
		{"nobody listens", "nats://127.0.0.1:1", "there is no NATS server at nats://127.0.0.1:1 "},
		{"no URL", "::", "there is no NATS server at :: "},
		{"no credentials", guarded, "refuses these credentials"},
		{"wrong credentials", with(guarded, "lab:guess"), "refuses these credentials"},
		{"no JetStream", startWith(t, &server.Options{}), "start it with -js"},
		{"no room", startWith(t, &server.Options{JetStream: true, JetStreamMaxStore: 1}), ""},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			c, err := Connect(t.Context(), Options{URL: test.url})
			if test.want == "" {
				must(t, err)
				defer c.Close()
				_, err = c.upload(t.Context(), "large", make([]byte, 1<<20), nil)
				test.want = "cannot store more"
			}
			wantProblem(t, err, test.want)
			if strings.Contains(err.Error(), "guess") {
				t.Errorf("%v tells the password", err)
			}
		})
	}
}
