from django.urls import path

from firstbell.insight import views

urlpatterns = [path("model/", views.model_card, name="model_card")]
