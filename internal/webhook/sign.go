package webhook

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/coggo/coggo/internal/prediction"
)

const secretPrefix = "whsec_"

// parseSecret returns the key of a Standard Webhooks secret, nil for an empty one.
func parseSecret(secret string) ([]byte, error) {
	if secret == "" {
		return nil, nil
	}
	encoded, ok := strings.CutPrefix(secret, secretPrefix)
	key, err := base64.StdEncoding.DecodeString(encoded)
	if !ok || err != nil || len(key) == 0 {
		return nil, errors.New("the webhook secret must be whsec_ followed by base64")
	}
	return key, nil
}

// sign adds the headers of the Standard Webhooks specification (https://www.standardwebhooks.com).
// The message id is derived from the content, so that it is the same in every attempt, even in
// those of a later server.
func (s *Sender) sign(h http.Header, id string, e prediction.WebhookEvent, body Body) error {
	if s.key == nil {
		return nil
	}
	sum := sha256.New()
	sum.Write([]byte(id + "\x00" + string(e) + "\x00"))
	if _, err := body.WriteTo(sum); err != nil {
		return err
	}
	message := "msg_" + hex.EncodeToString(sum.Sum(nil)[:16])
	timestamp := strconv.FormatInt(time.Now().Unix(), 10)
	mac := hmac.New(sha256.New, s.key)
	mac.Write([]byte(message + "." + timestamp + "."))
	if _, err := body.WriteTo(mac); err != nil {
		return err
	}
	h.Set("Webhook-Id", message)
	h.Set("Webhook-Timestamp", timestamp)
	h.Set("Webhook-Signature", "v1,"+base64.StdEncoding.EncodeToString(mac.Sum(nil)))
	return nil
}
