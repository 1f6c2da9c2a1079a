package watch

import (
	"net"
	"net/http"
	"net/netip"
	"strings"
)

// guard lets through what a browser on this machine asks of the server at this address,
// and nothing else. A page of another site that has its name resolve to 127.0.0.1 (DNS
// rebinding) sends that name as Host, and one that asks across sites says so in Origin or
// Sec-Fetch-Site. Nothing changes by a request, so GET and HEAD are all there is.
func guard(address net.Addr, next http.Handler) http.Handler {
	_, port, _ := net.SplitHostPort(address.String()) // a listener's address has a port
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		h := w.Header()
		h.Set("X-Content-Type-Options", "nosniff")
		h.Set("X-Frame-Options", "DENY")
		h.Set("Referrer-Policy", "no-referrer")
		h.Set("Cross-Origin-Resource-Policy", "same-origin")
		h.Set("Cross-Origin-Opener-Policy", "same-origin")
		h.Set("Cache-Control", "no-store")
		h.Set("Content-Security-Policy", "default-src 'none'; frame-ancestors 'none'")
		switch origin := r.Header.Get("Origin"); {
		case !local(r.Host, port):
			http.Error(w, "this server answers to its loopback address alone", http.StatusForbidden)
		case origin != "" && origin != "http://"+r.Host:
			http.Error(w, "this server answers its own page alone", http.StatusForbidden)
		case r.Header.Get("Sec-Fetch-Site") == "cross-site" && r.Header.Get("Sec-Fetch-Mode") != "navigate":
			http.Error(w, "this server answers its own page alone", http.StatusForbidden)
		case r.Method != http.MethodGet && r.Method != http.MethodHead:
			h.Set("Allow", "GET, HEAD")
			http.Error(w, "this server is read and not written: use GET or HEAD", http.StatusMethodNotAllowed)
		default:
			next.ServeHTTP(w, r)
		}
	})
}

// local says whether a Host header names this machine by a loopback address, or as
// localhost, and the port that is served.
func local(host, port string) bool {
	name, given, err := net.SplitHostPort(host)
	if err != nil { // no port, which is 80
		name, given = strings.Trim(host, "[]"), "80"
	}
	if given != port {
		return false
	}
	ip, err := netip.ParseAddr(name)
	return strings.EqualFold(name, "localhost") || err == nil && ip.IsLoopback()
}
