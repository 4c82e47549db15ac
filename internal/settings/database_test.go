package settings_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"waybill/internal/settings"
)

func TestRedactedDatabaseURL(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]string{
		"":                                     "",
		"postgres://":                          "postgres://",
		"postgres://db":                        "postgres://db",
		"postgres:///shop":                     "postgres:///shop",
		"postgres://app@db:5432/shop":          "postgres://app@db:5432/shop",
		"postgresql://app:pw@db/shop":          "postgres://app@db/shop",
		"postgres://app:pw@db/":                "postgres://app@db/",
		"postgres://:pw@db":                    "postgres://db",
		"postgres://app:p:w@db":                "postgres://app@db",
		"postgres://app:p%40w@db:5432/shop":    "postgres://app@db:5432/shop",
		"postgres://app:pw@h1:1,h2:2,h3/shop":  "postgres://app@h1:1,h2:2,h3/shop",
		"postgres://app:pw@[::1]:5432,[::2]/a": "postgres://app@[::1]:5432,[::2]/a",
		"postgres://app@db/shop?password=pw":   "postgres://app@db/shop",
		"postgres://app:pw@db?sslpassword=pw":  "postgres://app@db",

		// A password that was not escaped ends up anywhere.
		"postgres://app:p@w@db/shop":        "postgres://[set]",
		"postgres://app:p/w@db/shop":        "postgres://[set]",
		"postgres://app:12/w@db/shop":       "postgres://[set]",
		"postgres://app:12?w@db/shop":       "postgres://[set]",
		"postgres://app:p?w@db/shop":        "postgres://[set]",
		"postgres://app:pw":                 "postgres://[set]",
		"postgres://app:pw/shop":            "postgres://[set]",
		"postgres://app:123456/shop":        "postgres://[set]",
		"postgres://app@db:pw/shop":         "postgres://[set]",
		"postgres://app:x@h1,h2:pw/shop":    "postgres://[set]",
		"postgres://app:x@[::1]:pw/shop":    "postgres://[set]",
		"postgres://app:x@[::1:pw/shop":     "postgres://[set]",
		"postgres://app:x@db/shop?name=a@b": "postgres://[set]",

		"host=db port=5432 user=app dbname=shop":     "host=db port=5432 user=app dbname=shop",
		"host=db password=pw user=app sslpassword=x": "host=db user=app",
		"host=db\tpassword=pw\nuser=app":             "host=db user=app",
		"password=pw":                                "[set]",
		"host=db password=p w":                       "[set]",
		"host=db password = pw":                      "[set]",
		"host=db password=":                          "[set]",
		`host=db password='p user=w'`:                "[set]",
		`host=db password=p\ user=w`:                 "[set]",
		"host=db password=p\u00a0user=w":             "host=db",
		"host=db password=p\u0085user=w":             "host=db",
		"mysql://app:pw@db/shop?user=pw":             "[set]",
		"pw":                                         "[set]",
	} {
		t.Run(text, func(t *testing.T) {
			t.Parallel()
			s := settings.Settings{DatabaseURL: settings.NewSecret(text)}
			require.Equal(t, want, s.RedactedDatabaseURL())
		})
	}
}
