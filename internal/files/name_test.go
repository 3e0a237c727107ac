package files_test

import (
	"net/http"
	"path/filepath"
	"strings"
	"testing"
)

func TestAURLWithoutAnExtensionGetsTheFileNameOfTheAnswer(t *testing.T) {
	var disposition, mediaType string
	base := serve(t, func(w http.ResponseWriter, r *http.Request) {
		w.Header()["Content-Disposition"] = []string{disposition}
		w.Header().Set("Content-Type", mediaType)
	})
	long := strings.Repeat("x", 5000)
	for _, row := range []struct{ path, disposition, mediaType, want string }{
		{"/get?id=7", `attachment; filename="cat.png"`, "image/jpeg", "cat.png"},
		{"/get", `inline; filename=cat.png`, "", "cat.png"},
		{"/get", `ATTACHMENT; FileName="cat.png"`, "", "cat.png"},
		{"/", `attachment; filename="cat.png"`, "", "cat.png"},
		{"/dog.jpg", `attachment; filename="cat.png"`, "image/png", "dog.jpg"},
		{"/get", `attachment; filename=my photo.png`, "", "my photo.png"},
		{"/get", `attachment; filename=my photo.png; size=7`, "", "my photo.png"},
		{"/get", `filename="cat.png"`, "", "cat.png"},
		{"/get", `attachment; filename="old.png"; filename*=UTF-8''%C3%A9t%C3%A9.png`, "", "été.png"},
		{"/get", `attachment; filename*=UTF-8''a%2Fb%5C..%2F%C3%A9t%C3%A9.png`, "", "été.png"},
		{"/get", `attachment; filename="été.png"`, "", "été.png"},
		{"/get", "attachment; filename=\"\xe9t.png\"", "", "_t.png"},
		{"/get", `attachment; filename="../../etc/passwd"`, "", "passwd"},
		{"/get", `attachment; filename="C:\Users\me\cat.png"`, "", "cat.png"},
		{"/get", `attachment; filename="/etc/"`, "image/png", "get.png"},
		{"/get", `attachment; filename=".."`, "image/png", "get.png"},
		{"/get", `attachment; filename=".bashrc"`, "", "bashrc"},
		{"/get", `attachment; filename*=UTF-8''a%00b%0A.png`, "", "a_b_.png"},
		{"/get", `attachment; filename*=UTF-8''..%2F..%2Fx.png`, "", "x.png"},
		{"/get", `attachment; filename=""`, "image/png", "get.png"},
		{"/get", `attachment`, "image/png", "get.png"},
		{"/get", `;;==;"`, "image/png", "get.png"},
		{"/get", `attachment; filename="cat"`, "image/png", "cat.png"},
		{"/get", `attachment; filename="` + long + `.png"`, "", long[:196] + ".png"},
		{"/get", `attachment; filename="` + long + `"`, "image/png", long[:196] + ".png"},
		{"/get", "", "image/png; charset=binary", "get.png"},
		{"/get", "", "application/octet-stream", "get"},
		{"/get", "", "nobody/knows", "get"},
		{"/get", "", "../../x", "get"},
		{"/", "", "application/octet-stream", "file.bin"},
	} {
		disposition, mediaType = row.disposition, row.mediaType
		dir := t.TempDir()
		path, err := fetchOne(t, fetcher(), dir, base+row.path)
		if err != nil || path != filepath.Join(dir, "0", row.want) {
			t.Errorf("%.60s: %.60s, %s: %s, %v; want %.60s", row.path, row.disposition, row.mediaType, path, err, row.want)
		}
	}
}
