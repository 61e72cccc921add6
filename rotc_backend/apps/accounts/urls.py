from django.urls import path

from apps.accounts.api.views import audit, invitations, preferences, sessions, users

urlpatterns = [
    path("auth/login", sessions.LoginView.as_view(), name="auth-login"),
    path("auth/refresh", sessions.RefreshView.as_view(), name="auth-refresh"),
    path("auth/logout", sessions.LogoutView.as_view(), name="auth-logout"),
    path("auth/me", sessions.MeView.as_view(), name="auth-me"),
    path("auth/me/mail-preferences", preferences.MailPreferencesView.as_view(), name="auth-mail-preferences"),
    path("auth/password", sessions.PasswordView.as_view(), name="auth-password"),
    path("auth/register", invitations.RegisterView.as_view(), name="auth-register"),
    path("auth/password-reset", invitations.PasswordResetView.as_view(), name="auth-password-reset"),
    path("auth/invitations/accept", invitations.AcceptView.as_view(), name="auth-invitation-accept"),
    path("users", users.UsersView.as_view(), name="users"),
    path("users/<id:user_id>", users.UserView.as_view(), name="user"),
    path("users/<id:user_id>/approve", users.UserApproveView.as_view(), name="user-approve"),
    path("users/<id:user_id>/archive", users.UserArchiveView.as_view(), name="user-archive"),
    path("users/<id:user_id>/restore", users.UserRestoreView.as_view(), name="user-restore"),
    path("users/<id:user_id>/unlock", users.UserUnlockView.as_view(), name="user-unlock"),
    path("users/<id:user_id>/invitation", users.UserInvitationView.as_view(), name="user-invitation"),
    path("audit-entries", audit.AuditEntriesView.as_view(), name="audit-entries"),
]
# Outside /api/: for people.
page_urlpatterns = [path(invitations.PAGE_PATH.lstrip("/"), invitations.InvitationPage.as_view(), name="invitation")]
