package outbound_test

import (
	"errors"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"strings"
	"testing"

	"github.com/coggo/coggo/internal/outbound"
)

func TestAddressesOfPrivateNetworksAreNotPublic(t *testing.T) {
	for _, row := range []struct {
		public    bool
		addresses string
	}{
		{true, "8.8.8.8 1.1.1.1 100.63.255.255 100.128.0.1 168.63.129.15 168.63.129.17 172.32.0.1 191.255.255.255 192.88.98.1 198.20.0.1 223.255.255.255"},
		{true, "2606:4700::1111 2001:200::1 2001:4860:4860::8888 2400::1 3fff:1000::1 ::ffff:8.8.8.8 64:ff9b::8.8.8.8"},
		{false, "127.0.0.1 127.255.255.254 10.1.2.3 172.16.0.1 172.31.255.255 192.168.1.1 169.254.169.254 100.64.0.1 100.127.255.255"},
		{false, "0.0.0.0 0.1.2.3 224.0.0.1 239.255.255.255 240.0.0.1 255.255.255.255 198.18.0.1 198.19.255.255 168.63.129.16"},
		{false, "192.0.0.1 192.0.0.192 192.0.2.1 192.31.196.1 192.52.193.1 192.88.99.1 192.175.48.1 198.51.100.1 203.0.113.1"},
		{false, ":: ::1 ::2 ::8.8.8.8 ::127.0.0.1 ::ffff:0:0:0 ::ffff:0:127.0.0.1 ::ffff:0:8.8.8.8 ::ffff:127.0.0.1 ::ffff:168.63.129.16"},
		{false, "64:ff9b::127.0.0.1 64:ff9b::10.0.0.1 64:ff9b::168.63.129.16 64:ff9b:1::1 64:ff9b:1::8.8.8.8 100::1 100:0:0:1::1"},
		{false, "2001::1 2001:0:808:808::1 2001:10::1 2001:20::1 2001:1ff::1 2001:db8::1 2002:7f00:1:: 2002:808:808::1 2620:4f:8000::1"},
		{false, "3ffe::1 3fff::1 3fff:fff::1 4000::1 5f00::1 fc00::1 fd00:ec2::254 fe80::1 fe80::1%eth0 fec0::1 ff02::1 ff0e::1"},
	} {
		for address := range strings.FieldsSeq(row.addresses) {
			if got := outbound.Public(netip.MustParseAddr(address)); got != row.public {
				t.Errorf("Public(%s) = %v", address, got)
			}
		}
	}
	if outbound.Public(netip.Addr{}) {
		t.Error("no address is public")
	}
}

func TestPrivateAddressesAreRefusedByNameByNumberAndBehindARedirect(t *testing.T) {
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {}))
	defer server.Close()
	port := server.URL[strings.LastIndex(server.URL, ":"):]
	client := outbound.NewClient(outbound.Options{DenyPrivate: true})
	for _, url := range []string{server.URL, "http://localhost" + port, "http://[::ffff:127.0.0.1]" + port, "http://0.0.0.0" + port} {
		response, err := client.Get(url)
		if err == nil {
			_ = response.Body.Close()
		}
		if _, ok := errors.AsType[*outbound.PrivateAddressError](err); !ok {
			t.Errorf("GET %s: %v", url, err)
		}
	}
}

func TestWithoutTheOptionPrivateAddressesAreReached(t *testing.T) {
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {}))
	defer server.Close()
	response, err := outbound.NewClient(outbound.Options{}).Get(server.URL)
	if err != nil {
		t.Fatal(err)
	}
	_ = response.Body.Close()
}

func TestARedirectGoesToAnAddressThatCanBeSent(t *testing.T) {
	var to, got string
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/start/here" {
			w.Header().Set("Location", to)
			w.WriteHeader(http.StatusFound)
			return
		}
		got = r.RequestURI
	}))
	defer server.Close()
	client := outbound.NewClient(outbound.Options{})
	for location, want := range map[string]string{
		"/my photo.png?name=my photo": "/my%20photo.png?name=my%20photo",
		"/100%.png":                   "/100%25.png",
		"é?é":                         "/start/%C3%A9?%C3%A9",
		"/%20%2F+":                    "/%20%2F+",
		"//" + server.URL[len("http://"):] + "/x y#z": "/x%20y",
	} {
		to = location
		response, err := client.Get(server.URL + "/start/here")
		if err != nil {
			t.Errorf("%s: %v", location, err)
			continue
		}
		_ = response.Body.Close()
		if got != want {
			t.Errorf("%s led to %s; want %s", location, got, want)
		}
	}
	for _, location := range []string{"http://[::1", "http://key@a b/?secret", "/\tsecret"} {
		to = location
		_, err := client.Get(server.URL + "/start/here")
		if err == nil || !strings.HasSuffix(err.Error(), ": redirected to something that is not a URL") {
			t.Errorf("%s: %v", location, err)
		}
	}
}
