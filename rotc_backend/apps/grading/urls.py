from django.urls import path

from apps.grading.api.views import exports, grades, merits, policies, scores, sheets

urlpatterns = [
    path("grading-policy", policies.DefaultPolicyView.as_view()),
    path("terms/<id:term_id>/grading-policy", policies.TermPolicyView.as_view()),
    path("enrollments/<id:enrollment_id>/scores", scores.ScoresView.as_view()),
    path("enrollments/<id:enrollment_id>/scores/<str:exam>", scores.ScoreView.as_view()),
    path("terms/<id:term_id>/scores", scores.TermScoresView.as_view()),
    path("terms/<id:term_id>/scores/export", exports.TermScoresExportView.as_view()),
    path("merits", merits.MeritsView.as_view()),
    path("merits/<id:merit_id>", merits.MeritView.as_view(), name="merit"),
    path("merits/<id:merit_id>/revoke", merits.MeritRevokeView.as_view()),
    path("cadets/me/merits", merits.OwnMeritsView.as_view()),
    path("adjustments", merits.AdjustmentsView.as_view(), name="adjustments"),
    path("adjustments/<id:adjustment_id>/revoke", merits.AdjustmentRevokeView.as_view()),
    path("cadets/me/standing", grades.OwnStandingView.as_view()),
    path("enrollments/<id:enrollment_id>/standing", grades.StandingView.as_view()),
    path("terms/<id:term_id>/grades", grades.TermGradesView.as_view()),
    path("leaderboard", grades.LeaderboardView.as_view()),
    path("leaderboard/me", grades.OwnPlaceView.as_view()),
    path("dashboard", grades.DashboardView.as_view()),
    path("terms/<id:term_id>/close", sheets.TermCloseView.as_view()),
    path("terms/<id:term_id>/reopen", sheets.TermReopenView.as_view()),
    path("terms/<id:term_id>/grade-sheets", sheets.TermSheetsView.as_view()),
    path("terms/<id:term_id>/verification", sheets.TermVerificationView.as_view()),
    path("grade-sheets/<id:sheet_id>", sheets.SheetView.as_view()),
    path("grade-sheets/<id:sheet_id>/verify", sheets.SheetVerifyView.as_view()),
]
