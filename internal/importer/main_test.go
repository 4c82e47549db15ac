package importer

import (
	"fmt"
	"strings"
	"testing"

	"go.uber.org/goleak"

	"waybill/internal/devpg/pgtest"
)

func TestMain(m *testing.M) {
	goleak.VerifyTestMain(m, pgtest.IgnoreServer())
}

// bundleLine is a line that nothing is wrong with.
func bundleLine(key string) string {
	return fmt.Sprintf(`{"key":%q,"user_id":"usr_1","track":{"event":"Order_Completed"}}`, key)
}

// bundleLines are n of them, with keys order:1 to order:n.
func bundleLines(n int) string {
	var text strings.Builder
	for i := range n {
		text.WriteString(bundleLine(fmt.Sprintf("order:%d", i+1)) + "\n")
	}
	return text.String()
}
