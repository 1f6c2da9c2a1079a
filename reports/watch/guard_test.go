package watch

import (
	"errors"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"bittern/plugins"
)

func TestGuard(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		method, host string
		header       map[string]string
		want         int
	}{
		"a browser":                   {"GET", "127.0.0.1:8080", nil, 200},
		"HEAD":                        {"HEAD", "127.0.0.1:8080", nil, 200},
		"by name":                     {"GET", "localhost:8080", nil, 200},
		"IPv6":                        {"GET", "[::1]:8080", nil, 200},
		"its own script":              {"GET", "127.0.0.1:8080", map[string]string{"Origin": "http://127.0.0.1:8080", "Sec-Fetch-Site": "same-origin", "Sec-Fetch-Mode": "cors"}, 200},
		"a link of another site":      {"GET", "127.0.0.1:8080", map[string]string{"Sec-Fetch-Site": "cross-site", "Sec-Fetch-Mode": "navigate"}, 200},
		"a name that was rebound":     {"GET", "evil.example:8080", nil, 403},
		"a name like ours":            {"GET", "localhost.evil.example:8080", nil, 403},
		"an address of the network":   {"GET", "192.168.1.2:8080", nil, 403},
		"another port":                {"GET", "127.0.0.1:9090", nil, 403},
		"no port":                     {"GET", "127.0.0.1", nil, 403},
		"no host":                     {"GET", "", nil, 403},
		"a script of another site":    {"GET", "127.0.0.1:8080", map[string]string{"Origin": "https://evil.example"}, 403},
		"a page of another port":      {"GET", "127.0.0.1:8080", map[string]string{"Origin": "http://127.0.0.1:9090"}, 403},
		"a sandboxed page":            {"GET", "127.0.0.1:8080", map[string]string{"Origin": "null"}, 403},
		"an image of another site":    {"GET", "127.0.0.1:8080", map[string]string{"Sec-Fetch-Site": "cross-site", "Sec-Fetch-Mode": "no-cors"}, 403},
		"POST":                        {"POST", "127.0.0.1:8080", nil, 405},
		"DELETE":                      {"DELETE", "127.0.0.1:8080", nil, 405},
		"OPTIONS before another site": {"OPTIONS", "127.0.0.1:8080", nil, 405},
	} {
		r := httptest.NewRequest(test.method, "/", nil)
		r.Host = test.host
		for key, value := range test.header {
			r.Header.Set(key, value)
		}
		w := httptest.NewRecorder()
		reached := false
		guard(&net.TCPAddr{IP: net.IPv4(127, 0, 0, 1), Port: 8080}, http.HandlerFunc(func(http.ResponseWriter, *http.Request) { reached = true })).ServeHTTP(w, r)
		if w.Code != test.want || reached != (test.want == 200) {
			t.Errorf("%s: status %d, reached %v; want %d", name, w.Code, reached, test.want)
		}
		for _, header := range []string{"Content-Security-Policy", "X-Content-Type-Options", "X-Frame-Options", "Cross-Origin-Resource-Policy", "Referrer-Policy"} {
			if w.Header().Get(header) == "" {
				t.Errorf("%s: there is no %s", name, header)
			}
		}
	}
}

func TestListen(t *testing.T) {
	t.Parallel()
	free, err := Listen("127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer free.Close()
	for address, want := range map[string]string{
		free.Addr().String(): "is in use by another program",
		"0.0.0.0:0":          "can be reached from other machines",
		":0":                 "can be reached from other machines",
		"[::]:0":             "can be reached from other machines",
		"192.0.2.1:80":       "can be reached from other machines",
		"127.0.0.1":          "is no address to serve on",
		"127.0.0.1:bad":      "is no address to serve on",
		"127.0.0.1:70000":    "is no address to serve on",
	} {
		listener, err := Listen(address)
		if _, problem := errors.AsType[*plugins.Problem](err); !problem || !strings.Contains(err.Error(), want) {
			t.Errorf("Listen(%q) = %v, want a problem that %s", address, err, want)
		}
		if listener != nil {
			listener.Close()
		}
	}
}
