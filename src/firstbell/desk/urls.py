from django.urls import path

from firstbell.desk import account_views, intake_views, live_views, student_views, today_views

urlpatterns = [
    path("", today_views.home, name="home"),
    path("today/", today_views.today_page, name="today"),
    path("today/views/", today_views.keep_view, name="keep_view"),
    path("today/lists/", today_views.today_lists, name="today_lists"),
    path("alert/<int:pk>/", today_views.alert_page, name="alert"),
    path("verdict/<int:pk>/undo/", today_views.undo, name="undo_verdict"),
    path("schools/", today_views.schools_page, name="schools"),
    path("student/<int:pk>/", student_views.student_page, name="student"),
    path("student/<int:pk>/print/", student_views.print_page, name="student_print"),
    path("student/<int:pk>/who/", student_views.who_page, name="who"),
    path("student/<int:pk>/day/<str:day>/", student_views.day_page, name="student_day"),
    path("me/", account_views.me, name="me"),
    path("me/toured/", account_views.toured, name="toured"),
    path("alive/", account_views.alive, name="alive"),
    path("live/", live_views.stream, name="live"),
    path("live/number/", live_views.number, name="live_number"),
    path("intake/", intake_views.intake, name="intake"),
    path("intake/<int:pk>/", intake_views.delivery, name="intake_delivery"),
    path("intake/<int:pk>/progress/", intake_views.progress, name="intake_progress"),
    path("intake/<int:pk>/rows/", intake_views.kept_rows, name="intake_rows"),
    path("intake/<int:pk>/rows.csv", intake_views.kept_rows_csv, name="intake_rows_csv"),
    path("intake/source/<int:pk>/codes/", intake_views.codes, name="intake_codes"),
    path("intake/source/<int:pk>/columns/", intake_views.columns, name="intake_columns"),
]
