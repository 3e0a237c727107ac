package weburl_test

import (
	"errors"
	"net/url"
	"strings"
	"testing"

	"github.com/coggo/coggo/internal/weburl"
)

func TestAURLIsParsedIntoTheFormInWhichItIsSent(t *testing.T) {
	for _, row := range []struct{ text, want string }{
		{"http://a.test", "http://a.test"},
		{"HTTPS://A.Test:8443/X?Y", "https://a.test:8443/X?Y"},
		{" http://a.test/x ", "http://a.test/x"},
		{"http://a.test/my photo.png?name=my photo.png", "http://a.test/my%20photo.png?name=my%20photo.png"},
		{"http://a.test/été?q=ü&r=日本", "http://a.test/%C3%A9t%C3%A9?q=%C3%BC&r=%E6%97%A5%E6%9C%AC"},
		{"http://a.test/100%.png", "http://a.test/100%25.png"},
		{"http://a.test/100%/a%20b%2Fc%2fd+e?p=5%&q=%zz%4", "http://a.test/100%25/a%20b%2Fc%2fd+e?p=5%25&q=%25zz%254"},
		{"http://a.test/%%41%", "http://a.test/%25%41%25"},
		{"http://a.test/a/../b//c;d=1,2?x=/?&y='(*)!'", "http://a.test/a/../b//c;d=1,2?x=/?&y='(*)!'"},
		{`http://a.test/a"<b>\^{|}[c]` + "`?a[]=\"<b>\\^{|}`", "http://a.test/a%22%3Cb%3E%5C%5E%7B%7C%7D%5Bc%5D%60?a%5B%5D=%22%3Cb%3E%5C%5E%7B%7C%7D%60"},
		{"http://a.test/x#part", "http://a.test/x"},
		{"http://a.test/x?q#100% of it", "http://a.test/x?q"},
		{"http://a.test?q=1:2@3", "http://a.test?q=1:2@3"},
		{"http://a.test/x?", "http://a.test/x?"},
		{"http://a.test:/x", "http://a.test/x"},
		{"http://me:p%ss wörd@a.test/", "http://me:p%25ss%20w%C3%B6rd@a.test/"},
		{"http://me@x:pw@a.test/", "http://me%40x:pw@a.test/"},
		{`http://good.test\@a.test/`, "http://good.test%5C@a.test/"},
		{"http://Bücher.example:80/", "http://xn--bcher-kva.example:80/"},
		{"http://b%C3%BCcher.example/", "http://xn--bcher-kva.example/"},
		{"http://пример.испытание/ключ", "http://xn--e1afmkfd.xn--80akhbyknj4f/%D0%BA%D0%BB%D1%8E%D1%87"},
		{"http://evil。test/", "http://evil.test/"},
		{"http://a\u212Aa.test/", "http://aka.test/"},
		{"http://my_service:9000/x", "http://my_service:9000/x"},
		{"http://a.test./", "http://a.test./"},
		{"http://[::1]:80/x", "http://[::1]:80/x"},
		{"http://[fe80::1%25eth0]/", "http://[fe80::1%25eth0]/"},
		{"http://[fe80::1%eth0]:80/ü", "http://[fe80::1%25eth0]:80/%C3%BC"},
		{"http://127.0.0.1/\xff", "http://127.0.0.1/%FF"},
	} {
		u, err := weburl.Parse(row.text)
		if err != nil || u.String() != row.want {
			t.Errorf("%q became %v, %v; want %s", row.text, u, err, row.want)
			continue
		}
		if again, err := weburl.Parse(u.String()); err != nil || again.String() != row.want {
			t.Errorf("%q became %v, %v", row.want, again, err)
		}
	}
}

func TestAURLThatCannotBeSentIsRefused(t *testing.T) {
	for _, row := range []struct {
		text string
		want error
	}{
		{"", weburl.ErrNotWeb},
		{"/etc/passwd", weburl.ErrNotWeb},
		{"//a.test/x", weburl.ErrNotWeb},
		{"ftp://a.test/", weburl.ErrNotWeb},
		{"file:///etc/passwd", weburl.ErrNotWeb},
		{"javascript:1", weburl.ErrNotWeb},
		{"http:", weburl.ErrNotWeb},
		{"http:/a.test/", weburl.ErrNotWeb},
		{"http:a.test", weburl.ErrNotWeb},
		{"http://", weburl.ErrNotWeb},
		{"http:///x", weburl.ErrNotWeb},
		{"http://:80/", weburl.ErrNotWeb},
		{"http://me@/", weburl.ErrNotWeb},
		{"ht tp://a.test/", weburl.ErrNotWeb},
		{`http:\\a.test\x`, weburl.ErrNotWeb},
		{"http://a.test/\nHost: b", weburl.ErrControl},
		{"http://a.test/x\r\n", weburl.ErrControl},
		{"http://a.test/\x00", weburl.ErrControl},
		{"http://a.test/\t", weburl.ErrControl},
		{"http://a.test/\x7f", weburl.ErrControl},
		{"http://a.test/\u0085", weburl.ErrControl},
		{"http://a b/", weburl.ErrHost},
		{`http://a.test\b/`, weburl.ErrHost},
		{"http://a%62/", weburl.ErrHost},
		{"http://a%0ab/", weburl.ErrHost},
		{"http://a<b/", weburl.ErrHost},
		{"http://a,b/", weburl.ErrHost},
		{"http://a\uFF0Fb.test/", weburl.ErrHost},
		{"http://a\u2100b.test/", weburl.ErrHost},
		{"http://\xff.test/", weburl.ErrHost},
		{"http://a.test:99999/", weburl.ErrHost},
		{"http://a.test:x/", weburl.ErrHost},
		{"http://a.test:80:81/", weburl.ErrHost},
		{"http://[::1/", weburl.ErrHost},
		{"http://[a.test]/", weburl.ErrHost},
		{"http://[127.0.0.1]/", weburl.ErrHost},
		{"http://::1/", weburl.ErrHost},
	} {
		if u, err := weburl.Parse(row.text); !errors.Is(err, row.want) {
			t.Errorf("%q became %v, %v; want %v", row.text, u, err, row.want)
		}
	}
}

// A capital dotted i is not an i: the owner of one name does not own the other.
func TestALookalikeHostIsAnotherHost(t *testing.T) {
	u, err := weburl.Parse("http://mİne.test/")
	if err != nil || u.Hostname() == "mine.test" || !strings.HasPrefix(u.Hostname(), "xn--") {
		t.Errorf("became %v, %v", u, err)
	}
}

func TestAReferenceIsRelativeToItsBase(t *testing.T) {
	base, err := weburl.Parse("http://me:pw@a.test/dir/old file?x#y")
	if err != nil {
		t.Fatal(err)
	}
	for _, row := range []struct{ reference, want string }{
		{"new file", "http://me:pw@a.test/dir/new%20file"},
		{"/100%.png", "http://me:pw@a.test/100%25.png"},
		{"?name=my photo", "http://me:pw@a.test/dir/old%20file?name=my%20photo"},
		{"//B.test/é", "http://b.test/%C3%A9"},
		{`\/evil.test/`, "http://me:pw@a.test/dir/%5C/evil.test/"},
		{"https://Bücher.example/x y", "https://xn--bcher-kva.example/x%20y"},
		{"file:///etc/passwd", "file:///etc/passwd"},
		{"my file: 1.png", "http://me:pw@a.test/dir/my%20file:%201.png"},
		{"10:30/100%.png", "http://me:pw@a.test/dir/10:30/100%25.png"},
		{".b:x", "http://me:pw@a.test/dir/.b:x"},
		{":x", "http://me:pw@a.test/dir/:x"},
		{"é:x?y", "http://me:pw@a.test/dir/%C3%A9:x?y"},
		{"data:text/plain,a b", "data:text/plain,a%20b"},
	} {
		if u, err := weburl.Resolve(base, row.reference); err != nil || u.String() != row.want {
			t.Errorf("%q became %v, %v; want %s", row.reference, u, err, row.want)
		}
	}
	for _, reference := range []string{"http://[::1", "http://a b/", "http://a.test:99999/", "/\x00", "//\xff/"} {
		if u, err := weburl.Resolve(base, reference); err == nil {
			t.Errorf("%q became %v", reference, u)
		}
	}
}

// FuzzParse checks every URL that Parse accepts: it can be sent, parsing it again changes nothing,
// net/url reads it alike, and it contains only printable ASCII.
func FuzzParse(f *testing.F) {
	for _, seed := range []string{
		"http://a.test/100%.png?a b#c", "https://me:p@ss@Bücher.example:8443/é?[]", "http://[fe80::1%eth0]/", "http://a\nb/", "//x", "http://a%41/",
	} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, text string) {
		u, err := weburl.Parse(text)
		if err != nil {
			return
		}
		sent := u.String()
		if strings.ContainsFunc(sent, func(r rune) bool { return r <= ' ' || r > '~' || strings.ContainsRune("\"<>\\^`{|}#", r) }) {
			t.Fatalf("%q became %q", text, sent)
		}
		again, err := weburl.Parse(sent)
		if err != nil || again.String() != sent {
			t.Fatalf("%q became %q, then %v, %v", text, sent, again, err)
		}
		plain, err := url.Parse(sent)
		if err != nil || plain.Host != u.Host || plain.EscapedPath() != u.EscapedPath() || plain.RawQuery != u.RawQuery {
			t.Fatalf("%q became %q, which net/url reads as %v, %v", text, sent, plain, err)
		}
	})
}
