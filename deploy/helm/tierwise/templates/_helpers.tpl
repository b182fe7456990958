{{- define "tierwise.name" -}}
{{- if contains "tierwise" .Release.Name }}{{ .Release.Name | trunc 50 | trimSuffix "-" }}{{ else }}{{ printf "%s-tierwise" .Release.Name | trunc 50 | trimSuffix "-" }}{{ end }}
{{- end }}

{{- define "tierwise.selector" -}}
app.kubernetes.io/name: tierwise
app.kubernetes.io/instance: {{ .Release.Name }}
{{- end }}

{{- define "tierwise.labels" -}}
{{ include "tierwise.selector" . }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
helm.sh/chart: {{ printf "%s-%s" .Chart.Name .Chart.Version }}
{{- end }}

{{- define "tierwise.image" -}}
{{ .Values.image.repository }}:{{ .Values.image.tag | default .Chart.AppVersion }}
{{- end }}

{{- define "tierwise.environment" -}}
- {name: TIERWISE_CONFIG, value: /etc/tierwise/tierwise.toml}
- {name: TIERWISE_STATE_DIR, value: /var/lib/tierwise}
- {name: TIERWISE_SERVER__HOST, value: "0.0.0.0"}
- {name: TIERWISE_SERVER__PORT, value: "8080"}
- {name: TIERWISE_SERVER__AUTH, value: required}
- {name: TIERWISE_SERVER__TRUSTED_PROXIES, value: {{ .Values.trustedProxies | toJson | quote }}}
- {name: TIERWISE_SERVER__DRAIN_PAUSE_S, value: {{ .Values.drainPauseSeconds | quote }}}
- {name: TIERWISE_SERVER__SHUTDOWN_TIMEOUT_S, value: {{ .Values.shutdownTimeoutSeconds | quote }}}
- {name: TIERWISE_ADMIN__HOSTS, value: {{ .Values.adminHosts | toJson | quote }}}
{{- range $name, $value := .Values.env }}
- {name: {{ $name }}, value: {{ $value | quote }}}
{{- end }}
{{- end }}

{{- define "tierwise.container" -}}
image: {{ include "tierwise.image" . }}
imagePullPolicy: {{ .Values.image.pullPolicy }}
securityContext:
  allowPrivilegeEscalation: false
  readOnlyRootFilesystem: true
  capabilities: {drop: [ALL]}
envFrom:
  - secretRef: {name: {{ .Values.existingSecret }}}
{{- end }}

{{- define "tierwise.podSecurity" -}}
automountServiceAccountToken: false
enableServiceLinks: false
securityContext:
  runAsNonRoot: true
  runAsUser: 10001
  runAsGroup: 10001
  fsGroup: 10001
  fsGroupChangePolicy: OnRootMismatch
  seccompProfile: {type: RuntimeDefault}
{{- with .Values.image.pullSecrets }}
imagePullSecrets:
{{- range . }}
  - name: {{ . }}
{{- end }}
{{- end }}
{{- end }}
